"""Waiting for an object: one watch instead of polling, and a timeout that explains itself."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import urllib3
from urllib3.exceptions import HTTPError, ReadTimeoutError

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import EVENT
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call, Transport, plain

# The server sends a bookmark about every minute; a watch silent for longer is taken for dead and opened again.
SILENCE = 90.0
# The server closes a watch after this long, and says so; opening it again costs nothing.
LONGEST_WATCH = 300
# Seconds granted after the deadline to find out why nothing came.
EXPLANATION = 3.0
EVENTS_QUOTED = 5

T = TypeVar("T")


class _Expired(Exception):
    """The version to watch from is no longer kept (410 Gone): list again."""


def wait(
    transport: Transport,
    about: Request,
    collection: str,
    until: Callable[[Object | None], T | None],
    *,
    timeout: float,
    what: str,
) -> T:
    """The first non-None value of `until` over the changes of the object `about` names. `protocol.Kube.wait` has the promise."""
    deadline = transport.clock() + timeout
    limits = transport.limits
    pause = limits.first_pause
    version = ""  # empty: list first
    seen: Object | None = None
    looked = False
    trouble = ""
    while transport.clock() < deadline:
        began = transport.clock()
        try:
            if not version:
                current, version = _look(transport, about, collection, deadline)
                if not looked or objects.resource_version(current or {}) != objects.resource_version(seen or {}):
                    looked, seen = True, current
                    if (value := until(current)) is not None:
                        return value
            for reached, changed in _changes(transport, about, collection, version, deadline):
                version = reached
                if changed is not _BOOKMARK:
                    seen = changed
                    if (value := until(changed)) is not None:
                        return value
            trouble = ""
        except _Expired:
            version = ""
        except (errors.Unavailable, errors.UnexpectedResponse) as error:
            trouble = str(error)
        # A watch that lasted was a good one.
        pause = limits.first_pause if transport.clock() - began > limits.longest_pause else min(pause * 2, limits.longest_pause)
        transport.sleep(max(0.0, min(pause, deadline - transport.clock())))
    raise _timed_out(transport, about, seen, looked, timeout, what, trouble)


def _look(transport: Transport, about: Request, collection: str, deadline: float) -> tuple[Object | None, str]:
    """The object as it is, and the version of the collection at that moment, from which a watch misses nothing."""
    page = transport.json(Call(about, "GET", collection, {"fieldSelector": f"metadata.name={about.name}"}), deadline)
    items = page.get("items") or []
    return (_typed(about, items[0]) if items else None), str(objects.at(page, "metadata", "resourceVersion", default="0"))


_BOOKMARK: Object = {}


def _changes(transport: Transport, about: Request, collection: str, version: str, deadline: float) -> Iterator[tuple[str, Object | None]]:
    """(version to go on from, the object or None for its deletion or _BOOKMARK) until the server closes the watch or it breaks."""
    remaining = deadline - transport.clock()
    query: dict[str, str | int] = {
        "watch": "true",
        "fieldSelector": f"metadata.name={about.name}",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": min(LONGEST_WATCH, max(1, math.ceil(remaining))),
    }
    try:
        response = transport.stream(Call(about, "GET", collection, query), read_timeout=min(SILENCE, remaining))
    except errors.UnexpectedResponse as error:
        raise (_Expired() if error.status == 410 else error) from None
    try:
        for line in _lines(transport, about, response, deadline):
            event = json.loads(line)
            kind, body = event.get("type"), event.get("object") or {}
            if kind == "ERROR":
                if body.get("code") == 410:
                    raise _Expired
                message = f"{about.verb} {about.subject}: the watch ended with {body.get('reason') or body.get('code')}"
                raise about.error(errors.Unavailable, message, status=int(body.get("code") or 0))
            version = objects.resource_version(body) or version
            if kind == "BOOKMARK":
                yield version, _BOOKMARK
            else:
                yield version, None if kind == "DELETED" else _typed(about, body)
    finally:
        response.close()


def _lines(transport: Transport, about: Request, response: urllib3.BaseHTTPResponse, deadline: float) -> Iterator[bytes]:
    """The stream's lines. Ends at the deadline though the server keep silent or send without end."""
    rest = b""
    chunks = response.stream()
    while (remaining := deadline - transport.clock()) > 0:
        # Each read may last only as long as is left; the timeout given at the start would count anew from every event.
        socket = getattr(response.connection, "sock", None)
        if socket is not None:
            socket.settimeout(min(SILENCE, max(remaining, 0.01)))
        try:
            chunk = next(chunks)
        except (StopIteration, ReadTimeoutError, TimeoutError):
            # Silence is no fault of a watch: nothing changed, or the caller finds out when it opens the next one.
            return
        except (HTTPError, OSError) as error:
            message = f"{about.verb} {about.subject}: the watch broke ({plain(error)})"
            raise about.error(errors.Unavailable, message) from None
        *lines, rest = (rest + chunk).split(b"\n")
        yield from (line for line in lines if line.strip())


def _typed(about: Request, body: Object) -> Object:
    resource = about.resource
    assert resource is not None
    return {**body, "apiVersion": resource.api_version, "kind": resource.kind}


def _timed_out(
    transport: Transport, about: Request, seen: Object | None, looked: bool, timeout: float, what: str, trouble: str
) -> errors.WaitTimeout:
    conditions = [str(condition) for condition in objects.conditions(seen or {})]
    events = _events(transport, about, seen) if seen else []
    lines = [f"{about.subject}: {what} did not come about within {timeout:g} s"]
    if trouble:
        lines.append(f"at the end the API server was away: {trouble}")
    if not looked:
        lines.append("the object was never seen")
    elif seen is None:
        lines.append("the object does not exist; check that whatever makes it is running")
    else:
        lines += [f"condition {line}" for line in conditions] or ["it has no conditions"]
        lines += [f"event {line}" for line in events] or ["no events about it were found"]
    lines.append(f"Look closer with `{_describe(about)}`, mend the cause, and run again or allow more time")
    return errors.WaitTimeout(
        "\n  ".join(lines),
        what=what,
        conditions=conditions,
        events=events,
        verb="wait",
        resource=about.resource,
        namespace=about.namespace,
        name=about.name,
    )


def _describe(about: Request) -> str:
    resource = about.resource
    assert resource is not None
    place = f" --namespace {about.namespace}" if about.namespace else ""
    return f"kubectl describe {resource.qualified} {about.name}{place}"


def _events(transport: Transport, about: Request, body: Object) -> list[str]:
    """The newest events about the object, newest last; none where they cannot be had: the timeout is what matters."""
    namespace = about.namespace or "default"
    request = Request("list", EVENT, namespace, host=about.host)
    query: dict[str, str | int] = {"fieldSelector": f"involvedObject.uid={objects.uid(body)}", "limit": transport.limits.page}
    try:
        page = transport.json(Call(request, "GET", f"/api/v1/namespaces/{namespace}/events", query), transport.clock() + EXPLANATION)
    except errors.KubeError:
        return []
    found = sorted(page.get("items") or [], key=_event_time)[-EVENTS_QUOTED:]
    return [f"{_event_time(e)} {e.get('type')} {e.get('reason')}: {str(e.get('message', '')).strip()}" for e in found]


def _event_time(event: dict[str, Any]) -> str:
    """Times of one format in one zone, so that they sort as text."""
    series = objects.at(event, "series", "lastObservedTime")
    made = objects.at(event, "metadata", "creationTimestamp", default="")
    return str(series or event.get("lastTimestamp") or event.get("eventTime") or made)
