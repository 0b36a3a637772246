"""Two things to put between a client and the real API server, so that the network and the server fail when a test says so."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from gsv_ops.kube.configuration import Endpoint
from gsv_ops.kube.transport import Limits, Transport

HOP_HEADERS = ("transfer-encoding", "content-length", "connection")


class TcpProxy:
    """Passes connections on to the API server; `cut` breaks those that stand, `silent` keeps them open and passes nothing on."""

    def __init__(self, target: tuple[str, int]) -> None:
        self.silent = False
        self.accepted = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._closed = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection that stands."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._closed = True
        self.cut()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while not self._closed:
            ready, _, _ = select.select([self._listener], [], [], 0.05)
            if not ready:
                continue
            near, _ = self._listener.accept()
            far = socket.create_connection(self._target)
            self.accepted += 1
            self._pairs.append((near, far))
            threading.Thread(target=self._pass_on, args=(near, far), daemon=True).start()

    def _pass_on(self, near: socket.socket, far: socket.socket) -> None:
        with near, far, suppress(OSError):
            while not self._closed:
                ready, _, _ = select.select([near, far], [], [], 0.05)
                for source in [] if self.silent else ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    (far if source is near else near).sendall(data)


@dataclass(frozen=True)
class Seen:
    """A request as it came by."""

    method: str
    path: str
    query: str
    body: Any


@dataclass(frozen=True)
class Answer:
    """What the faulty API server says instead of the real one."""

    status: int
    reason: str = ""
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: bool = False
    """Whether the real server did the work first."""
    drop: bool = False
    """Close the connection without a word."""
    raw: Mapping[str, Any] | None = None
    """The body, in place of a Status."""


Rule = Callable[[Seen, int], Answer | None]
"""(the request, how many like it by method and path came before) -> a fault, or None to pass it on."""


class FaultyApi:
    """An HTTP server that passes requests on to the real API server, except where its rule says otherwise."""

    def __init__(self, backend: Transport) -> None:
        self.rule: Rule = lambda seen, before: None
        self.seen: list[Seen] = []
        self.backend = backend

    def count(self, method: str, part: str) -> int:
        return sum(1 for s in self.seen if s.method == method and part in s.path)


@contextmanager
def faulty_api(backend: Transport, **limits: Any) -> Iterator[tuple[FaultyApi, Transport]]:
    """The server and a transport that leads to it, with short pauses between retries."""
    api = FaultyApi(backend)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(api))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    endpoint = Endpoint(url=f"http://127.0.0.1:{server.server_port}", tls=None)
    try:
        yield api, Transport(endpoint, Limits(**({"first_pause": 0.01, "longest_pause": 1.5} | limits)))
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(api: FaultyApi) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            seen = Seen(self.command, path, query, json.loads(body) if body else None)
            before = sum(1 for s in api.seen if (s.method, s.path) == (seen.method, seen.path))
            api.seen.append(seen)
            fault = api.rule(seen, before)
            if fault is None or fault.after:
                status, headers, data = self._real(body)
                if fault is None:
                    self._answer(status, headers, data)
                    return
            if fault.drop:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            status_object = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": fault.status}
            said = status_object | {"reason": fault.reason, "message": fault.message}
            headers = {"Content-Type": "application/json", **fault.headers}
            self._answer(fault.status, headers, json.dumps(fault.raw or said).encode() + b"\n")

        def _real(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
            wanted = {k: v for k, v in self.headers.items() if k in ("Accept", "Content-Type")}
            answer = api.backend._pool.request(
                self.command, api.backend.endpoint.url + self.path, body=body or None, headers=wanted | api.backend.headers(), retries=False
            )
            return answer.status, {k: v for k, v in answer.headers.items() if k.lower() not in HOP_HEADERS}, answer.data

        def _answer(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
            self.send_response_only(status)
            for key, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(key, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Nothing on the test's output."""

        do_GET = do_POST = do_PATCH = do_DELETE = _any

    return Handler
