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


def quoted(text: str, longest: int = LONGEST) -> str:
    """The text as one line. A value behind a word like password or token, and a password in a URL, are left out."""
    text = _FROM_CONNECTION_STRING.sub("password=...", " ".join(text.split()))
    text = _FROM_URL.sub(r"\1:...@", text)
    text = _NAMED.sub(r"\g<name>...", text)
    return text if len(text) <= longest else text[: longest - 3] + "..."
