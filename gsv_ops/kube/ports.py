"""A pod's port on loopback: each connection made to it gets a stream of its own through the API server."""

from __future__ import annotations

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from gsv_ops.kube import errors
from gsv_ops.kube.channels import READ_AT_ONCE, V4, Channels, open_channels
from gsv_ops.kube.protocol import Address
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Transport

DATA, ERROR = 0, 1
PORT_PREFIX = 2
"""Each channel begins with the port's number, two bytes."""
HIGH_WATER = 1024 * 1024
"""Bytes held for one side; above it the other side is not read."""
HALF_CLOSED_SILENCE = 30.0
"""Seconds a pod may be silent after our side has finished sending.

A port-forward has no word for "I have sent everything": the runtime would take it for the end of both directions. So the stream stays open
for the answer, until the pod closes or has nothing more to say.
"""
PROBLEMS_KEPT = 5
DRAIN = 2.0
"""Seconds that closing waits for data on its way."""

log = logging.getLogger(__name__)


@contextmanager
def open_port(transport: Transport, about: Request, pod_path: str, port: int) -> Iterator[Address]:
    """An address on 127.0.0.1 that leads to the pod's port until the context ends.

    A stream that fails closes its connection; why it did is logged, and noted on the exception that leaves the context.
    """
    if not 0 < port < 65536:
        raise ValueError(f"{port} is no port: expected 1 to 65535")
    forwarder = _Forwarder(transport, about, pod_path + "/portforward", port)
    try:
        yield forwarder.address
    except BaseException as error:
        forwarder.close()  # first: a stream may still be learning why it failed
        for problem in forwarder.problems:
            error.add_note(problem)
        raise
    forwarder.close()


class _Forwarder:
    """The listener's thread and a thread for each connection; `close` ends them all."""

    def __init__(self, transport: Transport, about: Request, path: str, port: int) -> None:
        self._transport = transport
        self._about = about
        self._path = path
        self._port = port
        self.problems: deque[str] = deque(maxlen=PROBLEMS_KEPT)
        self._bridges: list[threading.Thread] = []
        # Never read: once written, it wakes every thread and keeps them awake.
        self._wake, self._stop = socket.socketpair()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        host, number = self._listener.getsockname()
        self.address = Address(host, number)
        self._accepting = threading.Thread(target=self._accept, name=f"gsv-ops port {port}", daemon=True)
        self._accepting.start()

    def close(self) -> None:
        self._wake.send(b"x")
        self._accepting.join()
        for bridge in self._bridges:
            bridge.join()
        self._wake.close()
        self._stop.close()

    def _accept(self) -> None:
        with self._listener, selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._stop, selectors.EVENT_READ)
            while True:
                ready = {key.fileobj for key, _ in selector.select()}
                if self._stop in ready:
                    return
                try:
                    connection, _ = self._listener.accept()
                except OSError:  # gone again before it was accepted
                    continue
                bridge = threading.Thread(target=self._bridge, args=(connection,), name=f"gsv-ops port {self._port} bridge", daemon=True)
                self._bridges = [thread for thread in self._bridges if thread.is_alive()]
                self._bridges.append(bridge)
                bridge.start()

    def _bridge(self, local: socket.socket) -> None:
        with local:
            local.setblocking(False)
            try:
                query = [("ports", str(self._port))]
                seconds = self._transport.limits.connect
                with open_channels(self._transport, self._about, self._path, query, (V4,), seconds) as channels:
                    failure = _Bridge(self._transport, local, channels, self._stop).run()
                if failure:
                    self._problem(f"open_port {self._about.subject}, port {self._port}: {failure}")
            except errors.KubeError as error:
                self._problem(str(error))
            except OSError:
                # The connection's owner went away: nobody is left to tell.
                return

    def _problem(self, text: str) -> None:
        self.problems.append(text)
        log.warning("%s", text)


class _Bridge:
    """Moves bytes between one local connection and one stream, in one thread, with bounded buffers."""

    def __init__(self, transport: Transport, local: socket.socket, channels: Channels, stop: socket.socket) -> None:
        self._clock = transport.clock
        self._local = local
        self._channels = channels
        self._stop = stop
        self._to_local = bytearray()
        self._local_sends = True
        self._prefix_left = {DATA: PORT_PREFIX, ERROR: PORT_PREFIX}
        self._failure = bytearray()

    def run(self) -> str:
        """Until either side has ended or the stop was given. What the pod's side says went wrong; empty when nothing did."""
        heard = self._clock()
        stop_by: float | None = None
        with selectors.DefaultSelector() as selector:
            while not self._channels.ended:
                ready = self._ready(selector, stopping=stop_by is not None)
                now = self._clock()
                if self._stop in ready:
                    stop_by = now + DRAIN
                taken = self._take_from_local() if self._local in ready else 0
                self._channels.flush()
                if self._channels.socket in ready:
                    heard = now
                    self._take_from_pod()
                self._give_to_local()
                if stop_by is not None and (now > stop_by or not (taken or self._channels.backlog)):
                    break
                if not self._local_sends and now - heard > HALF_CLOSED_SILENCE:
                    break
        self._farewell(linger=0.0 if stop_by is not None else DRAIN)
        return self._failure.decode(errors="replace").strip()

    def _ready(self, selector: selectors.BaseSelector, *, stopping: bool) -> set[object]:
        """The sockets to be read now; returns too when one can be written that has something waiting."""
        room = len(self._to_local) < HIGH_WATER
        may_take = self._local_sends and self._channels.backlog < HIGH_WATER
        _interest(selector, self._channels.socket, read=room, write=self._channels.backlog > 0)
        _interest(selector, self._local, read=may_take, write=bool(self._to_local))
        _interest(selector, self._stop, read=not stopping, write=False)
        hidden = room and self._channels.buffered
        seconds = 0.0 if hidden else 0.05 if stopping else HALF_CLOSED_SILENCE
        ready: set[object] = {key.fileobj for key, events in selector.select(seconds) if events & selectors.EVENT_READ}
        return ready | {self._channels.socket} if hidden else ready

    def _take_from_local(self) -> int:
        try:
            data = self._local.recv(READ_AT_ONCE)
        except BlockingIOError:
            return 0
        if not data:
            self._local_sends = False
        self._channels.send(DATA, data)
        return len(data)

    def _take_from_pod(self) -> None:
        for channel, data in self._channels.receive():
            skipped = min(self._prefix_left.get(channel, 0), len(data))
            if skipped:
                self._prefix_left[channel] -= skipped
                data = data[skipped:]
            if channel == DATA:
                self._to_local += data
            elif channel == ERROR:
                self._failure += data

    def _give_to_local(self) -> None:
        try:
            while self._to_local:
                sent = self._local.send(memoryview(self._to_local)[:READ_AT_ONCE])
                del self._to_local[:sent]
        except BlockingIOError:
            return

    def _farewell(self, linger: float) -> None:
        """Give the client the rest, then the end. What it still sends is read: closing over unread bytes would reset the connection."""
        self._local.settimeout(DRAIN)
        self._local.sendall(self._to_local)
        self._local.shutdown(socket.SHUT_WR)
        until = self._clock() + linger
        while self._local_sends and (left := until - self._clock()) > 0:
            self._local.settimeout(left)
            if not self._local.recv(READ_AT_ONCE):
                return


def _interest(selector: selectors.BaseSelector, item: socket.socket, *, read: bool, write: bool) -> None:
    events = (selectors.EVENT_READ if read else 0) | (selectors.EVENT_WRITE if write else 0)
    known = selector.get_map().get(item)
    if known is None and events:
        selector.register(item, events)
    elif known is not None and not events:
        selector.unregister(item)
    elif known is not None and known.events != events:
        selector.modify(item, events)
