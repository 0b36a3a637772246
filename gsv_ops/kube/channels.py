"""A WebSocket to the API server that carries several byte streams, as exec and port-forward use it.

The client library's own is not used: it decodes text, copies its buffer for every frame, and reads and writes one TLS connection from
two threads. Here one thread per stream does both, without blocking.
"""

from __future__ import annotations

import selectors
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.parse import urlencode, urlsplit

import websocket

from gsv_ops.kube import errors, frames
from gsv_ops.kube.responses import Request, error_of
from gsv_ops.kube.transport import Transport, plain

V4 = "v4.channel.k8s.io"
V5 = "v5.channel.k8s.io"
V5_CLOSE = 255
"""The channel on which v5 says that another one has ended."""

PIECE = 64 * 1024
READ_AT_ONCE = 256 * 1024
GOODBYE = 1.0
"""Seconds that closing waits for the peer to take what is still on its way."""


class Channels:
    """Byte streams by channel number over one WebSocket. One thread only; `socket` may be given to a selector."""

    def __init__(self, connection: socket.socket, protocol: str) -> None:
        connection.setblocking(False)
        self.socket = connection
        self.protocol = protocol
        self.ended = False
        """The peer closed, or the connection broke: nothing more will come."""
        self.backlog = 0
        """Bytes that still have to be sent."""
        self._outgoing: deque[bytes] = deque()
        self._decoder = frames.Decoder()
        self._channel = 0

    def __enter__(self) -> Channels:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def send(self, channel: int, data: bytes) -> None:
        """Queue data; `pump` or `flush` sends it."""
        for start in range(0, len(data), PIECE):
            self._queue(frames.encode(bytes([channel]) + data[start : start + PIECE]))

    def end(self, channel: int) -> None:
        """Queue the end of a channel. Only v5 can say that."""
        self._queue(frames.encode(bytes([V5_CLOSE, channel])))

    def flush(self) -> None:
        """Send as much of the queue as the connection takes now."""
        try:
            while self._outgoing:
                # TLS wants the same bytes again after it asked to wait.
                sent = self.socket.send(self._outgoing[0])
                self.backlog -= sent
                if sent == len(self._outgoing[0]):
                    self._outgoing.popleft()
                else:
                    self._outgoing[0] = self._outgoing[0][sent:]
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            self._broken()

    def receive(self) -> list[tuple[int, bytes]]:
        """(channel, data) of what has come, at most about READ_AT_ONCE bytes."""
        received: list[tuple[int, bytes]] = []
        size = 0
        try:
            while size < READ_AT_ONCE and not self.ended:
                data = self.socket.recv(PIECE)
                if not data:
                    self.ended = True
                size += len(data)
                received += self._sorted(data)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, ValueError):
            self._broken()
        return received

    def pump(self, seconds: float) -> list[tuple[int, bytes]]:
        """Send and receive what can be within that time; returns as soon as something came or the queue is empty."""
        self.flush()
        if not self.buffered:
            with selectors.DefaultSelector() as selector:
                selector.register(self.socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if self.backlog else 0))
                selector.select(max(0.0, seconds))
        return self.receive()

    @property
    def buffered(self) -> bool:
        """Whether TLS holds bytes that the selector cannot see."""
        return isinstance(self.socket, ssl.SSLSocket) and self.socket.pending() > 0

    def close(self) -> None:
        """Say goodbye after what is queued, and let go; waits no longer than GOODBYE."""
        with suppress(OSError, ValueError):
            if not self.ended:
                self._queue(frames.encode(b"\x03\xe8", frames.CLOSE))
                self.flush()
                self.socket.settimeout(GOODBYE)
                while self._outgoing:
                    self.socket.sendall(self._outgoing.popleft())
                # Closing with bytes unread would reset the connection, and what is on its way with it.
                for _ in range(64):
                    if self.ended or not (data := self.socket.recv(PIECE)):
                        break
                    self._sorted(data)
        self.socket.close()

    def _queue(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        self.backlog += len(frame)

    def _broken(self) -> None:
        self.ended = True
        self._outgoing.clear()
        self.backlog = 0

    def _sorted(self, data: bytes) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = []
        for opcode, first, payload in self._decoder.feed(data):
            if opcode == frames.CLOSE:
                self.ended = True
            elif opcode == frames.PING:
                self._queue(frames.encode(payload, frames.PONG))
            elif opcode in (frames.BINARY, frames.TEXT):
                if first and payload:
                    self._channel, payload = payload[0], payload[1:]
                if payload:
                    found.append((self._channel, payload))
        return found


def open_channels(
    transport: Transport, about: Request, path: str, query: Sequence[tuple[str, str]], protocols: Sequence[str], seconds: float
) -> Channels:
    """A connected stream. Raises the KubeError that the API server's refusal stands for, or Unavailable."""
    endpoint = transport.endpoint
    url = urlsplit(endpoint.url)
    scheme = "wss" if url.scheme == "https" else "ws"
    started = transport.clock()
    connection: Any = websocket.WebSocket(sslopt=_tls_options(transport))
    proxy = urlsplit(endpoint.proxy) if endpoint.proxy else None
    try:
        connection.connect(
            f"{scheme}://{url.netloc}{url.path}{path}?{urlencode(query)}",
            header=[f"{name}: {value}" for name, value in transport.headers().items()],
            subprotocols=list(protocols),
            suppress_origin=True,
            timeout=max(0.05, min(transport.limits.connect, seconds)),
            redirect_limit=0,
            # The proxy is the kubeconfig's, not the environment's.
            http_proxy_host=proxy.hostname if proxy else None,
            http_proxy_port=proxy.port if proxy else None,
            http_no_proxy=None if proxy else ["*"],
        )
    except websocket.WebSocketBadStatusException as error:
        raise error_of(about, error.status_code, error.resp_body or b"") from None
    except (websocket.WebSocketException, OSError) as error:
        what = plain(error) if isinstance(error, OSError) else "the WebSocket handshake failed"
        message = (
            f"{about.verb} {about.subject}: no stream through the API server at {endpoint.host} ({what}, after "
            f"{transport.clock() - started:.1f} s); check that it is up, and that a proxy on the way lets WebSockets through"
        )
        raise about.error(errors.Unavailable, message) from None
    return Channels(connection.sock, connection.subprotocol or V4)


def _tls_options(transport: Transport) -> dict[str, object]:
    tls = transport.endpoint.tls
    if tls is None:
        return {}
    # The context is shared: the library sets these two on it again, so they must be what they are.
    options: dict[str, object] = {"context": tls, "check_hostname": tls.check_hostname, "cert_reqs": tls.verify_mode}
    if transport.endpoint.tls_server_name:
        options["server_hostname"] = transport.endpoint.tls_server_name
    return options
