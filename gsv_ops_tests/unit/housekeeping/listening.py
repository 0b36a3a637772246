"""A webhook receiver on loopback that keeps what it is sent and answers as a test says."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Listener:
    """What came, oldest first; `answers` are the statuses of the next requests, 200 after that."""

    url: str
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    hold: float = 0.0

    def alerts(self) -> list[tuple[str, str]]:
        """What was told, in order: status and name of every alert."""
        return [(alert["status"], alert["labels"]["alertname"]) for body in self.bodies for alert in body["alerts"]]


@contextmanager
def listening() -> Iterator[Listener]:
    """The receiver, for as long as the context lasts."""
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if listener.hold and not released.is_set():
                released.wait(listener.hold)
            listener.bodies.append(json.loads(body))
            listener.headers.append(dict(self.headers))
            listener.paths.append(self.path)
            self.send_response(listener.answers.pop(0) if listener.answers else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_port}/hook/s3cret-path")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listener
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join()
