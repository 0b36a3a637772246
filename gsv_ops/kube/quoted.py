"""Somebody else's words, as an error message or a log may quote them: one line, not too long, without what looks like a password."""

from __future__ import annotations

import re

LONGEST = 400
_FROM_CONNECTION_STRING = re.compile(r"password=('(\\.|[^'\\])*'|\S+)", re.IGNORECASE)
_FROM_URL = re.compile(r"(\w+://[^\s/:@]*):[^\s/]*@")
_NAMED = re.compile(
    r"(?P<name>[\w.-]*(?:password|passwd|secret|token|api[_-]?key|credential|authorization)[\w.-]*[\"']?\s*[:=]\s*)"
    r"(?:(?:bearer|basic)\s+)?(?:\"[^\"]*\"|'[^']*'|[^\s,;}]+)",
    re.IGNORECASE,
)
_BEARER = re.compile(r"\b(bearer|basic)\s+(?=\S*[\d+/_.~=-])[A-Za-z0-9+/_.~=-]{8,}", re.IGNORECASE)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_KNOWN_BY_ITS_BEGINNING = re.compile(r"\b(AKIA|ASIA|ghp_|gho_|glpat-|xox[abp]-)[\w-]{10,}")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|$)", re.DOTALL)


def quoted(text: str, longest: int = LONGEST) -> str:
    """The text as one line. A value behind a word like password, a URL's password, and what looks like a token or key are left out."""
    text = _PRIVATE_KEY.sub("...", text)
    text = _FROM_CONNECTION_STRING.sub("password=...", " ".join(text.split()))
    text = _FROM_URL.sub(r"\1:...@", text)
    text = _NAMED.sub(r"\g<name>...", text)
    text = _BEARER.sub(r"\1 ...", text)
    text = _JWT.sub("...", text)
    text = _KNOWN_BY_ITS_BEGINNING.sub("...", text)
    return text if len(text) <= longest else text[: longest - 3] + "..."
