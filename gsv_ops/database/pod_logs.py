"""The cause of a failure from the logs of CloudNativePG's pods, which say it where the objects' status does not.

A failed Backup's status says only "exit status 1"; a failed recovery shows in the Cluster after eleven minutes. The containers log one JSON
object a line, PostgreSQL's own messages among them as `record`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.quoted import quoted

MOST_LINES = 2000
# That a command ended, that CloudNativePG's manager (1.30) gave up waiting for it, and that a timeline has no successor, which every
# recovery asks for: the cause stands elsewhere.
_SAYS_NOTHING = re.compile(
    r"exit status \d+$|while waiting for PostgreSQL to stop recovery mode|^While terminating server$"
    r"|WAL file [0-9A-F]{8}\.history for server"
)
# What PostgreSQL 14 to 18 log of WAL that is not what should be there; of a recovery they then only say that it ended too early.
_DAMAGED_WAL = re.compile(
    r"unexpected pageaddr|unexpected timeline ID|out-of-sequence timeline ID|invalid magic number|invalid info bits|incorrect prev-link"
    r"|WAL file is from different database system|incorrect resource manager data checksum|invalid resource manager ID"
)
_ERROR_LINE = re.compile(r"\b(ERROR|FATAL|PANIC)\b:?\s*(?P<text>.*)")


@dataclass(frozen=True)
class Line:
    """One line of a container's log: when, how severe (info, error, LOG, FATAL ...), what it says, and the plain fields beside it."""

    at: datetime | None
    severity: str
    text: str
    fields: dict[str, object]


def lines(log: str) -> Iterator[Line]:
    """Every line of a log; a line that is not JSON is its own text."""
    for raw in log.splitlines():
        try:
            body = json.loads(raw)
        except json.JSONDecodeError:
            body = None
        if not isinstance(body, dict):
            yield Line(None, "", raw, {})
            continue
        moment = _time(str(body.get("ts", "")))
        record = body.get("record")
        if isinstance(record, dict):
            yield Line(moment, str(record.get("error_severity", "")), str(record.get("message", "")), record)
        else:
            text = str(body.get("msg", ""))
            yield Line(moment, str(body.get("level", "")), f"{text}: {body['error']}" if body.get("error") else text, body)


def complaints(log: str, since: datetime | None = None) -> list[str]:
    """What went wrong, oldest first and each once: errors, PostgreSQL's FATAL and above, damaged WAL, and tools' own ERROR lines."""
    found: dict[str, None] = {}
    for line in lines(log):
        if since is not None and (line.at is None or line.at < since):
            continue
        # a tool's own words: on a line of theirs, or beside the wrapper's error as what the tool wrote to its standard error
        told = _ERROR_LINE.search(line.text if line.severity in ("", "info") else str(line.fields.get("stderr", "")))
        damaged = line.severity == "LOG" and _DAMAGED_WAL.search(line.text)
        if line.severity in ("error", "FATAL", "PANIC", "ERROR") or told or damaged:
            found[quoted(told["text"] if told else line.text)] = None
    return [text for text in found if text]


def telling(found: Iterable[str], most: int) -> list[str]:
    """The last of some complaints, without those that only say that something ended; unless there are no others."""
    every = list(found)
    return ([text for text in every if not _SAYS_NOTHING.search(text)] or every)[-most:]


def containers(pod: Object) -> list[str]:
    """The pod's containers, sidecars among them (CloudNativePG runs the plugin as a restartable init container)."""
    init = [c["name"] for c in at(pod, "spec", "initContainers", default=[]) or []]
    return [*init, *(c["name"] for c in at(pod, "spec", "containers", default=[]))]


def read(kube: Kube, namespace: str, pod: Object) -> dict[str, str]:
    """The newest lines of every container of the pod; one that has no log yet is left out."""
    found = {}
    for container in containers(pod):
        try:
            found[container] = kube.logs(namespace, pod["metadata"]["name"], container, tail=MOST_LINES)
        except KubeError:
            continue  # not started yet, or gone: what it said is then unknown, never taken as "nothing wrong"
    return found


def _time(text: str) -> datetime | None:
    try:
        return parse_time(text)
    except ValueError:
        return None
