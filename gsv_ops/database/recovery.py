"""Watches a restored cluster recover, and finds out early when it never will.

CloudNativePG shows a failed recovery in the Cluster only after its Job's last retry, eleven minutes later. The Job's failed pods say it at
once, and their logs say why; they are read while they exist, since the operator deletes a Job that has completed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gsv_ops.database import disturbed, pod_logs, source
from gsv_ops.kube import errors, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import EVENT, JOB, POD, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, OperationFailed

POLL_SECONDS = 2.0
TELL_SECONDS = 20.0
JOB_ROLE = "cnpg.io/jobRole"
RECOVERY_ROLES = ("full-recovery", "snapshot-recovery")
UNRECOVERABLE = "Cluster is unrecoverable and needs manual intervention"

# What is said at the borders between the phases; the first two by the restoring tool, the others by PostgreSQL.
FETCH_BEGINS = "Starting barman-cloud-restore"
FETCH_ENDS = "Restore completed"
REPLAY_ENDS = ("recovery stopping before", "recovery stopping after", "redo done at")
BORDERS = (FETCH_BEGINS, FETCH_ENDS, *REPLAY_ENDS)
LONG_AGO = datetime.min.replace(tzinfo=UTC)
MOST_CAUSES = 4


class RecoveryFailed(OperationFailed):
    """The backup could not be restored; the message has the cause from the recovery pods' logs."""


class RecoveryOverdue(OperationFailed):
    """The recovery neither ended nor failed within its time: nothing is proven."""


@dataclass
class Logs:
    """What the recovery's containers have said so far that matters: what went wrong, and when each phase's border was passed.

    Only the newest lines of a log can be read, and a pod may be gone the next time: what was found stays known.
    """

    wrong: dict[str, None] = field(default_factory=dict)
    said: dict[str, datetime] = field(default_factory=dict)

    def keep(self, found: Mapping[str, str]) -> None:
        """Remember what matters of what was read, by container."""
        for log in found.values():
            self.wrong |= dict.fromkeys(pod_logs.complaints(log))
            for line in pod_logs.lines(log):
                border = next((text for text in BORDERS if line.text.startswith(text)), None)
                if border and line.at and line.at > self.said.get(border, LONG_AGO):
                    self.said[border] = line.at

    def causes(self) -> list[str]:
        """What went wrong, in the order in which it was found."""
        return list(self.wrong)

    def moment(self, *borders: str) -> datetime | None:
        """When one of the borders was passed, the latest if more than once (an attempt may have failed before)."""
        return max((self.said[border] for border in borders if border in self.said), default=None)


@dataclass(frozen=True)
class Recovered:
    """A restored cluster that accepts connections, and how long each part of getting there took, in seconds, as far as it is known."""

    cluster: Object
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Seen:
    """A restored cluster at one look: it, its pods, those that recover, and how many attempts have failed."""

    cluster: Object
    pods: tuple[Object, ...]
    recovering: tuple[Object, ...]
    failed: int


def is_ready(cluster: Object) -> bool:
    """Whether every instance serves, and the operator says so."""
    ready = objects.condition(cluster, "Ready")
    return source.phase(cluster) == source.HEALTHY_PHASE and ready is not None and ready.status == "True" and bool(source.primary(cluster))


def serves(cluster: Object) -> bool:
    """Whether the restored primary serves; replicas may still be made."""
    return bool(source.primary(cluster)) and int(at(cluster, "status", "readyInstances", default=0) or 0) >= 1


def wait(
    desk: Desk,
    namespace: str,
    name: str,
    *,
    seconds: float,
    failed_attempts: int,
    logs: Logs,
    until: Callable[[Object], bool] = is_ready,
) -> Recovered:
    """The cluster once it is as `until` wants it. Raises RecoveryFailed as soon as the recovery failed, RecoveryOverdue after `seconds`.

    An API server that is away for a while is waited for too: the recovery goes on without it.
    """
    begun = told = desk.monotonic()
    while True:
        now = desk.monotonic()
        overdue, tell = now - begun > seconds, now - told >= TELL_SECONDS
        try:
            seen = _look(desk, namespace, name, logs)
            if until(seen.cluster):
                return Recovered(seen.cluster, timings(seen.cluster, logs, desk.now()))
            _raise_if_failed(seen, namespace, failed_attempts, logs)
            where = _where_it_stands(desk, namespace, seen) if overdue or tell else ""
        except errors.Unavailable as problem:
            where = str(problem)
        if overdue:
            raise RecoveryOverdue(f"the recovery took longer than {seconds:.0f} s. {where}")
        if tell:
            told = now
            desk.log(f"recovering for {now - begun:.0f} s: {where}")
        desk.sleep(POLL_SECONDS)


def timings(cluster: Object, logs: Logs, ready: datetime) -> dict[str, float]:
    """Seconds of provisioning, fetch, replay and promotion, and of all together; a part whose borders were not seen is left out."""
    created = objects.created(cluster)
    borders = {
        "provisioning": (created, logs.moment(FETCH_BEGINS)),
        "fetch": (logs.moment(FETCH_BEGINS), logs.moment(FETCH_ENDS)),
        "replay": (logs.moment(FETCH_ENDS), logs.moment(*REPLAY_ENDS)),
        "promotion": (logs.moment(*REPLAY_ENDS), ready),
        "recovery": (created, ready),
    }
    return {part: round((end - begin).total_seconds(), 1) for part, (begin, end) in borders.items() if begin and end and end >= begin}


def _look(desk: Desk, namespace: str, name: str, logs: Logs) -> _Seen:
    cluster = desk.kube.get(POSTGRES_CLUSTER, name, namespace)
    # before the logs: of an attempt that is seen to have failed, everything is read that it said
    jobs = desk.kube.list(JOB, namespace, labels=f"{source.CLUSTER_LABEL}={name}")
    pods = desk.kube.list(POD, namespace, labels=f"{source.CLUSTER_LABEL}={name}")
    recovering = tuple(pod for pod in pods if objects.labels(pod).get(JOB_ROLE) in RECOVERY_ROLES)
    for pod in recovering:
        logs.keep(pod_logs.read(desk.kube, namespace, pod))
    return _Seen(cluster, tuple(pods), recovering, sum(int(at(job, "status", "failed", default=0) or 0) for job in jobs))


def _raise_if_failed(seen: _Seen, namespace: str, failed_attempts: int, logs: Logs) -> None:
    name = objects.name(seen.cluster)
    look = f"kubectl describe clusters.postgresql.cnpg.io {name} -n {namespace}"
    if seen.failed:
        found = (disturbed.by_the_node(seen.recovering), disturbed.by_its_surroundings(logs.causes()))
        if because := "; ".join(text for text in found if text):
            raise RecoveryOverdue(f"the recovery was disturbed, which says nothing of the backup: {because}", look)
    if seen.failed >= failed_attempts or source.phase(seen.cluster) == UNRECOVERABLE:
        raise RecoveryFailed(_failure(seen.cluster, seen.failed, logs), look)


def _failure(cluster: Object, failed: int, logs: Logs) -> str:
    causes = logs.causes()
    unread = f"the recovery pods' logs could not be read; phase {source.phase(cluster)!r}"
    said = " | ".join(pod_logs.telling(causes, MOST_CAUSES)) or unread
    return f"the restore failed ({failed} failed attempts): {said}"


def _where_it_stands(desk: Desk, namespace: str, seen: _Seen) -> str:
    cluster, pods = seen.cluster, seen.pods
    parts = [f"Cluster {objects.name(cluster)} is in phase {source.phase(cluster)!r}"]
    for pod in pods:
        waiting = [
            f"{status['name']}: {reason}"
            for kind in ("initContainerStatuses", "containerStatuses")
            for status in at(pod, "status", kind, default=[]) or []
            if (reason := at(status, "state", "waiting", "reason"))
        ]
        parts.append(f"pod {objects.name(pod)} {at(pod, 'status', 'phase')}{' (' + ', '.join(waiting) + ')' if waiting else ''}")
    if not pods:
        parts.append("no pod yet")
    events = desk.kube.list(EVENT, namespace, fields=f"type=Warning,involvedObject.name={objects.name(cluster)}")
    parts += [f"event {event['reason']}: {event.get('message', '')[:200]}" for event in events[-2:]]
    return "; ".join(parts)
