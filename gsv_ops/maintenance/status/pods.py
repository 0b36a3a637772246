"""Pods that are not as they should be, each with the reason: also those that run and are not ready, which `grep -v Running` hides."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gsv_ops.kube import health, objects
from gsv_ops.kube.health.workloads import STUCK
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

INIT_CONTAINERS, CONTAINERS = "initContainerStatuses", "containerStatuses"


@dataclass(frozen=True)
class Trouble:
    """One pod that is not well. `container`: the one whose log tells more ("": none); `crashed`: that log is of its last attempt.

    `passing`: it is on its way (starting, or ending) for less than the time that is granted.
    """

    namespace: str
    pod: str
    node: str
    phase: str
    reason: str
    restarts: int
    since: datetime | None
    container: str = ""
    crashed: bool = False
    passing: bool = False


@dataclass(frozen=True)
class Restarts:
    """How often a container began again, and how it ended last."""

    namespace: str
    pod: str
    container: str
    count: int
    last: str
    at: datetime | None


def troubles(pods: Iterable[Object], now: datetime, settle: timedelta) -> list[Trouble]:
    """What is wrong first, then what is on its way; those with the most restarts first. A pod that ran to its end is well."""
    found = [trouble for pod in pods if (trouble := trouble_of(pod, now, settle)) is not None]
    return sorted(found, key=lambda one: (one.passing, -one.restarts, one.namespace, one.pod))


def trouble_of(pod: Object, now: datetime, settle: timedelta) -> Trouble | None:
    """None for a pod that is ready, or has run to its end."""
    if health.of(pod).healthy:
        return None
    statuses = _statuses(pod)
    culprit = next((status for status in statuses if not _is_well(status)), {})
    since = _since(pod)
    young = since is None or now - since < settle
    stuck = at(culprit, "state", "waiting", "reason") in STUCK or at(pod, "status", "phase") in ("Failed", "Unknown")
    restarts = sum(int(status.get("restartCount", 0)) for status in statuses)
    return Trouble(
        namespace=objects.namespace(pod) or "",
        pod=objects.name(pod),
        node=str(at(pod, "spec", "nodeName", default="")),
        phase="Terminating" if objects.deleting(pod) else str(at(pod, "status", "phase", default="Unknown")),
        reason=_reason(pod, culprit),
        restarts=restarts,
        since=since,
        container=str(culprit.get("name", "")) if _has_run(culprit) else "",
        crashed=at(culprit, "state", "running") is None and at(culprit, "state", "terminated") is None and _has_run(culprit),
        passing=young and not stuck and not restarts,
    )


def restarts(pods: Iterable[Object]) -> list[Restarts]:
    """Every container that began more than once, the most often first."""
    found = []
    for pod in pods:
        for status in _statuses(pod):
            if int(status.get("restartCount", 0)):
                ended = at(status, "lastState", "terminated")
                moment = at(ended, "finishedAt")
                found.append(
                    Restarts(
                        objects.namespace(pod) or "",
                        objects.name(pod),
                        str(status.get("name", "")),
                        int(status["restartCount"]),
                        _ended(ended) if ended else "not known",
                        objects.parse_time(str(moment)) if moment else None,
                    )
                )
    return sorted(found, key=lambda one: (-one.count, one.namespace, one.pod, one.container))


def _statuses(pod: Object) -> list[Mapping[str, Any]]:
    return [*at(pod, "status", INIT_CONTAINERS, default=[]), *at(pod, "status", CONTAINERS, default=[])]


def _is_well(status: Mapping[str, Any]) -> bool:
    """Ready, or an init container that has done its work."""
    return bool(status.get("ready")) or at(status, "state", "terminated", "exitCode") == 0


def _has_run(status: Mapping[str, Any]) -> bool:
    return any(
        at(status, field, state) is not None
        for field, state in (("state", "running"), ("state", "terminated"), ("lastState", "terminated"))
    )


def _reason(pod: Object, culprit: Mapping[str, Any]) -> str:
    """The container's own word and how it ended before; else what the pod says; else what the health rule says."""
    said = []
    if waiting := at(culprit, "state", "waiting"):
        said.append(_joined(str(waiting.get("reason") or "waiting"), str(waiting.get("message") or "")))
    if ended := at(culprit, "state", "terminated"):
        said.append(_ended(ended))
    if before := at(culprit, "lastState", "terminated"):
        said.append(f"before: {_ended(before)}")
    if at(pod, "status", "reason"):
        said.insert(0, _joined(str(at(pod, "status", "reason")), str(at(pod, "status", "message", default=""))))
    name = f"{culprit.get('name')}: " if said and culprit else ""
    if objects.deleting(pod):
        return "; ".join(["it is being deleted", *said])
    return name + "; ".join(said) if said else health.of(pod).reason


def _ended(terminated: Mapping[str, Any]) -> str:
    return f"{terminated.get('reason') or 'ended'}, exit code {terminated.get('exitCode')}"


def _joined(reason: str, message: str) -> str:
    return f"{reason} ({message})" if message else reason


def _since(pod: Object) -> datetime | None:
    """Since when it is not well: its Ready condition's last change, or when it was made, or asked to go."""
    if objects.deleting(pod):
        return objects.parse_time(str(at(pod, "metadata", "deletionTimestamp")))
    ready = objects.condition(pod, "Ready")
    return ready.since if ready and ready.since else objects.created(pod)
