"""Tells receivers: Alertmanager's v2 API and a webhook, each with a time limit and one more attempt. Nothing secret is ever quoted.

A webhook's whole URL counts as a secret: messages name its host only. A token comes from an environment variable or a Secret at the
moment it is sent.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError

from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import SECRET
from gsv_ops.platform.spec import FROM_ENVIRONMENT, AlertSettings

ALERTMANAGER, WEBHOOK = "alertmanager", "webhook"
URL_VARIABLES = {ALERTMANAGER: "GSV_ALERTMANAGER_URL", WEBHOOK: "GSV_WEBHOOK_URL"}
DESK_URL_VARIABLE = "GSV_DESK_URL"
TOKEN_VARIABLE = "GSV_WEBHOOK_TOKEN"  # noqa: S105  the variable's name
ATTEMPTS = 2
PAUSE_SECONDS = 0.5
MORE_TIME = (408, 429)


class NotTold(Exception):
    """A receiver did not take what it was sent. The message names its host, and neither its path nor a token."""


@dataclass(frozen=True)
class Receiver:
    """Where alerts go. Neither the URL nor the token stands in its repr."""

    name: str
    host: str
    seconds: float
    url: str = field(repr=False)
    token: str = field(default="", repr=False)

    def post(self, body: Any) -> None:
        """Send it. Raises NotTold when two attempts did not succeed, or at once when the receiver refuses it."""
        problem = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE_SECONDS)
            status, problem = self._once(body)
            if not problem:
                return
            if 400 <= status < 500 and status not in MORE_TIME:
                break
        raise NotTold(f"{self.name} at {self.host}: {problem}")

    def _once(self, body: Any) -> tuple[int, str]:
        """The HTTP status (0: none) and what went wrong."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        timeout = urllib3.Timeout(total=self.seconds)
        try:
            with urllib3.PoolManager(retries=False, timeout=timeout) as pool:
                answer = pool.request("POST", self.url, body=json.dumps(body).encode(), headers=headers, redirect=False)
        except (HTTPError, ValueError) as problem:
            # its text holds the URL, or the header with a token that cannot be sent
            return 0, f"no answer ({type(problem).__name__})"
        if 200 <= answer.status < 300:
            return answer.status, ""
        return answer.status, f"it answered {answer.status}"


def alertmanager(settings: AlertSettings, environ: Mapping[str, str] = os.environ) -> Receiver | None:
    """The Alertmanager that is to be told, if there is one. Raises NotTold for an address that cannot be used."""
    url = _address(settings.alertmanager_url, URL_VARIABLES[ALERTMANAGER], environ)
    return Receiver(ALERTMANAGER, _host(url), settings.post_seconds, f"{url.rstrip('/')}/api/v2/alerts") if url else None


def webhook(settings: AlertSettings, kube: Kube, environ: Mapping[str, str] = os.environ) -> Receiver | None:
    """The webhook that is to be told, if there is one. Raises NotTold for an address or a token that cannot be used."""
    url = _address(settings.webhook_url, URL_VARIABLES[WEBHOOK], environ)
    return Receiver(WEBHOOK, _host(url), settings.post_seconds, url, _token(settings, kube, environ)) if url else None


def desk_url(settings: AlertSettings, environ: Mapping[str, str] = os.environ) -> str:
    """Where people open the desk, without a slash at its end; empty if nobody said."""
    return (_address(settings.desk_url, DESK_URL_VARIABLE, environ) or "").rstrip("/")


def _address(setting: str | None, variable: str, environ: Mapping[str, str]) -> str | None:
    where, url = (variable, environ.get(variable) or None) if setting == FROM_ENVIRONMENT else ("the address in platform.yaml", setting)
    try:
        good = url is None or (urlsplit(url).scheme in ("http", "https") and bool(_host(url)))
    except ValueError:  # a port that is no number, or half of an IPv6 address; its text quotes the URL
        good = False
    if not good:
        raise NotTold(f"{where} is no address; expected http(s)://host")
    return url


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""


def _token(settings: AlertSettings, kube: Kube, environ: Mapping[str, str]) -> str:
    wanted = settings.webhook_token
    if wanted is None:
        return ""
    if isinstance(wanted, str):
        return environ.get(TOKEN_VARIABLE, "").strip()
    where = f"key {wanted.key!r} of Secret {wanted.namespace}/{wanted.secret}"
    try:
        text = at(kube.get(SECRET, wanted.secret, wanted.namespace), "data", wanted.key)
    except KubeError as problem:
        raise NotTold(f"the webhook's token, {where}, cannot be read: {problem}") from None
    if not text:
        raise NotTold(f"the webhook's token is not there: expected {where}")
    try:
        return base64.b64decode(text).decode().strip()
    except ValueError:
        raise NotTold(f"the webhook's token, {where}, is no text") from None
