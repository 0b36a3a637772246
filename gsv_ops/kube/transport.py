"""Requests to the API server: timeouts, bounded retries, and errors that say what they mean.

This is the one place where a request is sent. Its HTTP pool is urllib3's own and not the client library's, which logs every
response body, Secrets included, when logging is at DEBUG.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ReadTimeoutError,
    SSLError,
)

from gsv_ops.kube import errors
from gsv_ops.kube.configuration import Endpoint
from gsv_ops.kube.responses import Request, error_of

JSON = "application/json"
CONNECTIONS = 32
SETTLING = 30.0
"""Seconds after an API server was away in which a 403 is not believed: it listens before it has read the roles."""


@dataclass(frozen=True)
class Limits:
    """How long and how often a verb tries. The defaults outlast a restart of one API server behind a load balancer, not an outage."""

    connect: float = 5.0
    """Seconds for a TCP and TLS connection."""
    read: float = 30.0
    """Seconds without a byte before an answer counts as lost."""
    total: float = 60.0
    """Seconds for a verb, its retries included; for a list, for each page."""
    attempts: int = 6
    first_pause: float = 0.2
    """Seconds before the first retry; doubled for each further one."""
    longest_pause: float = 5.0
    """Also the most of a Retry-After that is honoured."""
    page: int = 500
    """Objects in a page of a list, as kubectl does."""


@dataclass(frozen=True)
class Call:
    """One HTTP request and what may be said of it. `repeatable`: sending it twice does no more than sending it once."""

    about: Request
    method: str
    path: str
    query: Mapping[str, str | int]
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
    repeatable: bool = True


@dataclass(frozen=True)
class Reply:
    """A successful answer, and at which attempt it came."""

    data: bytes
    attempts: int


class Refusal(Exception):
    """An answer that is an error, with what a verb needs to judge its own retries. Never leaves this package."""

    def __init__(self, error: errors.KubeError, attempts: int, elapsed: float, server_time: float | None) -> None:
        super().__init__(str(error))
        self.error = error
        self.attempts = attempts
        self.elapsed = elapsed
        self.server_time = server_time


class Transport:
    """Sends requests to one API server. Safe for many threads."""

    def __init__(
        self,
        endpoint: Endpoint,
        limits: Limits = Limits(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.endpoint = endpoint
        self.limits = limits
        self.clock = clock
        self.sleep = sleep
        self._away_at = -SETTLING
        pool: dict[str, Any] = {"maxsize": CONNECTIONS, "ssl_context": endpoint.tls}
        if endpoint.tls is not None and not endpoint.tls.check_hostname:
            pool["cert_reqs"] = "CERT_NONE"
            pool["assert_hostname"] = False
        if endpoint.tls_server_name:
            pool["server_hostname"] = endpoint.tls_server_name
            pool["assert_hostname"] = endpoint.tls_server_name
        if endpoint.proxy:
            self._pool: urllib3.PoolManager = urllib3.ProxyManager(endpoint.proxy, proxy_headers=dict(endpoint.proxy_headers or {}), **pool)
        else:
            self._pool = urllib3.PoolManager(**pool)
        # without a proxy every request goes to the one server: finding its connections by the URL again takes a fifth of a request's time
        self._server = None if endpoint.proxy else self._pool.connection_from_url(endpoint.url)
        self._prefix = urlsplit(endpoint.url).path.rstrip("/")

    def close(self) -> None:
        """End every connection that is idle."""
        self._pool.clear()

    def json(self, call: Call, deadline: float | None = None) -> dict[str, Any]:
        """The answer's JSON object. Raises KubeError."""
        try:
            reply = self.send(call, deadline)
        except Refusal as refusal:
            raise refusal.error from None
        return self.decode(call, reply)

    def decode(self, call: Call, reply: Reply) -> dict[str, Any]:
        try:
            answer = json.loads(reply.data)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            message = f"{call.about.verb} {call.about.subject}: {self.endpoint.host} did not answer in JSON; is it a Kubernetes API server?"
            raise call.about.error(errors.UnexpectedResponse, message)
        return answer

    def send(self, call: Call, deadline: float | None = None) -> Reply:
        """The answer, after as many retries as the limits allow. Raises Refusal for an error status, Unavailable for none."""
        started = self.clock()
        until = min(started + self.limits.total, deadline if deadline is not None else float("inf"))
        attempt = 0
        while True:
            attempt += 1
            pause = min(self.limits.first_pause * 2 ** (attempt - 1), self.limits.longest_pause)
            outcome: Exception
            try:
                response = self._exchange(call, until - self.clock(), stream=False)
            except HTTPError as error:
                self._away_at = self.clock()
                outcome, retry = self.unreachable(call.about, error, self.clock() - started, attempt), _may_retry(call, error)
            else:
                if 200 <= response.status < 300:
                    return Reply(response.data, attempt)
                problem = self._meant(call.about, error_of(call.about, response.status, response.data))
                outcome = Refusal(problem, attempt, self.clock() - started, _server_time(response))
                # 429 says that nothing was done, whatever the verb.
                retry = response.status == 429 or (isinstance(problem, errors.Unavailable) and call.repeatable)
                pause = max(pause, min(_retry_after(response), self.limits.longest_pause))
            if not retry or attempt >= self.limits.attempts or self.clock() + pause >= until:
                raise outcome from None
            self.sleep(pause)

    def stream(self, call: Call, read_timeout: float) -> urllib3.BaseHTTPResponse:
        """An open response whose body is still to be read; the caller closes it. One attempt. Raises KubeError."""
        started = self.clock()
        try:
            response = self._exchange(call, read_timeout, stream=True)
            if 200 <= response.status < 300:
                return response
            body = response.data
        except HTTPError as error:
            self._away_at = self.clock()
            raise self.unreachable(call.about, error, self.clock() - started, 1) from None
        raise self._meant(call.about, error_of(call.about, response.status, body))

    def _meant(self, about: Request, problem: errors.KubeError) -> errors.KubeError:
        """The error for what it is: a 403 of an API server that was away until just now is no word on our rights."""
        if not isinstance(problem, errors.Forbidden) or self.clock() - self._away_at >= SETTLING:
            return problem
        message = f"{problem} (the API server was away until just now, and may not have read its roles yet)"
        return about.error(errors.Unavailable, message, status=problem.status)

    def headers(self) -> dict[str, str]:
        """The headers that every request carries, the credentials among them: never to be shown."""
        authorization = self.endpoint.authorization()
        return {"User-Agent": "gsv-ops"} | ({"Authorization": authorization} if authorization else {})

    def _exchange(self, call: Call, seconds: float, *, stream: bool) -> urllib3.BaseHTTPResponse:
        seconds = max(seconds, 0.05)
        headers = self.headers() | {"Accept": call.accept}
        if call.body is not None:
            headers["Content-Type"] = call.content_type
        query = urlencode({key: value for key, value in call.query.items() if value != ""})
        target = call.path + (f"?{query}" if query else "")
        options: dict[str, Any] = {
            "body": None if call.body is None else json.dumps(call.body).encode(),
            "headers": headers,
            "timeout": urllib3.Timeout(
                connect=min(self.limits.connect, seconds), read=seconds if stream else min(self.limits.read, seconds)
            ),
            "retries": False,
            "redirect": False,
            "preload_content": not stream,
        }
        if self._server is None:
            return self._pool.urlopen(call.method, self.endpoint.url + target, **options)
        return self._server.urlopen(call.method, self._prefix + target, **options)

    def unreachable(self, about: Request, error: Exception, elapsed: float, attempts: int) -> errors.Unavailable:
        """The error for an API server that gave no answer."""
        tried = f"{attempts} attempt{'s' if attempts > 1 else ''} in {elapsed:.1f} s"
        host = self.endpoint.host
        if isinstance(error, SSLError):
            advice = "expected a certificate signed by the kubeconfig's certificate-authority for that host name; is it the right cluster?"
        elif isinstance(error, ReadTimeoutError):
            advice = "it took the connection and then said nothing; look at its load and its log"
        else:
            advice = "check that the cluster is up, the way to it (VPN, proxy, firewall), and `server:` in the kubeconfig"
        message = f"{about.verb} {about.subject}: no answer from the API server at {host} ({plain(error)}; {tried}); {advice}"
        return about.error(errors.Unavailable, message)


def plain(error: BaseException) -> str:
    """What went wrong with a connection, in a few words; never a URL, a header or a body."""
    if isinstance(error, NameResolutionError):
        return "its host name does not resolve"
    refused = isinstance(error, NewConnectionError)  # to urllib3 a ConnectTimeoutError as well
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError | TimeoutError) and not refused:
        return "timed out"
    seen: BaseException | None = error
    for _ in range(6):
        if seen is None:
            break
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror
        seen = seen.__cause__ or seen.__context__ or next((arg for arg in seen.args if isinstance(arg, BaseException)), None)
    return "the connection broke" if isinstance(error, HTTPError) else type(error).__name__


def _may_retry(call: Call, error: HTTPError) -> bool:
    if isinstance(error, SSLError):
        return False
    # Before a connection stood, nothing can have been done.
    unsent = isinstance(error, NewConnectionError | ConnectTimeoutError | ProxyError)
    return unsent or call.repeatable


def _retry_after(response: urllib3.BaseHTTPResponse) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 0.0


def _server_time(response: urllib3.BaseHTTPResponse) -> float | None:
    try:
        return parsedate_to_datetime(response.headers.get("Date", "")).timestamp()
    except ValueError:
        return None
