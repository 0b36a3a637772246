"""Waiting on the in-memory server: its log stands for the watch, the wording of a timeout is that of the real wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar, cast

from gsv_ops.kube import watch
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call, Limits, Transport
from gsv_ops_tests.fake_kube.server import Key, Server, copied

T = TypeVar("T")
Events = Callable[[str, str], list[Object]]
"""(namespace, field selector) -> the events."""


def wait(server: Server, about: Request, until: Callable[[Object | None], T | None], events: Events, *, timeout: float, what: str) -> T:
    """The first non-None value of `until` over the changes of the object `about` names. `protocol.Kube.wait` has the promise."""
    assert about.resource is not None
    key = Key(about.resource, about.namespace, about.name)
    deadline = time.monotonic() + timeout
    with server.changed:
        changes, reached = [copied(server.objects.get(key))], len(server.log)
    seen: Object | None = None
    while changes:
        for seen in changes:
            # Without the lock: others go on writing, and `until` may use the same server.
            if (value := until(seen)) is not None:
                return value
            if time.monotonic() >= deadline:
                break
        changes, reached = _changes(server, key, reached, deadline)
    raise watch._timed_out(cast(Transport, _EventsOnly(events)), about, seen, True, timeout, what, "")


def _changes(server: Server, key: Key, reached: int, deadline: float) -> tuple[list[Object | None], int]:
    """(the object's versions since that place in the log, the place after them); none once the deadline has passed."""
    with server.changed:
        while (left := deadline - time.monotonic()) > 0:
            found = [copied(body) for changed, body in server.log[reached:] if changed == key]
            reached = len(server.log)
            if found:
                return found, reached
            server.changed.wait(left)
    return [], reached


class _EventsOnly:
    """As much of a transport as it takes to ask for the events that a timeout quotes."""

    limits = Limits()

    def __init__(self, events: Events) -> None:
        self._events = events

    def clock(self) -> float:
        return time.monotonic()

    def json(self, call: Call, deadline: float) -> Object:
        return {"items": self._events(str(call.about.namespace), str(call.query["fieldSelector"]))}
