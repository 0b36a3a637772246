"""About how many objects a cleanup would take, from their metadata alone: cheap, so that it can be asked every few minutes.

The cleanups themselves decide by whole objects. What is counted here is the most that may go: a Job's metadata, for one, does not say
whether it has ended.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from gsv_ops.cleanup import pruning
from gsv_ops.cleanup.finished_jobs import HISTORY, PRUNE_JOBS, PruneJobs
from gsv_ops.cleanup.leftover_pods import PRUNE_PODS, PrunePods
from gsv_ops.cleanup.replica_sets import DEFAULT_HISTORY, PRUNE_REPLICASETS, PruneReplicaSets, revision
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CRON_JOB, DEPLOYMENT, JOB, NAMESPACE, POD, REPLICA_SET
from gsv_ops.platform.spec import PlatformSpec

ENDED_PODS = "status.phase!=Running,status.phase!=Pending,status.phase!=Unknown"
NO_RUN: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Count:
    """Of one cleanup: how many objects may go, of how many that were looked at."""

    may_go: int
    seen: int


def count(operation: str, kube: Kube, spec: PlatformSpec, now: datetime) -> Count:
    """What that cleanup may find. Lists metadata only, page by page, and nothing that runs. Raises KubeError."""
    exist = {objects.name(body) for body in kube.list(NAMESPACE, metadata_only=True)}
    resource, fields, of = {
        PRUNE_REPLICASETS.name: (REPLICA_SET, "", partial(replica_sets, keep=spec.cleanup.timetable.keep, now=now)),
        PRUNE_JOBS.name: (JOB, "", partial(finished_jobs, now=now)),
        PRUNE_PODS.name: (POD, ENDED_PODS, partial(leftover_pods, now=now)),
    }[operation]
    namespaces = sorted(set(spec.namespaces) & exist)
    found = [body for place in namespaces for body in kube.list(resource, place, fields=fields, metadata_only=True)]
    return Count(of(found), len(found))


def replica_sets(bodies: Sequence[Object], keep: int, now: datetime) -> int:
    """Those of a Deployment, beyond the live one and the newest that stay, and old enough."""
    families: dict[str, list[Object]] = defaultdict(list)
    for body in bodies:
        owner = objects.controller(body)
        if owner is not None and owner.kind == DEPLOYMENT.kind and revision(body) is not None:
            families[owner.uid].append(body)
    stay = 1 + (DEFAULT_HISTORY if keep < 0 else keep)
    hours = PruneReplicaSets().older_than_hours
    old = [body for family in families.values() for body in sorted(family, key=lambda b: -(revision(b) or 0))[stay:]]
    return sum(1 for body in old if not pruning.left_alone(body) and _older(body, hours, now))


def finished_jobs(bodies: Sequence[Object], now: datetime) -> int:
    """Those nobody looks after and, of a CronJob, beyond what it keeps by default, that were made long enough ago."""
    hours = PruneJobs().complete_older_than_hours
    free = [b for b in _nobodys(bodies) if _older(b, hours, now)]
    owners = Counter(owner.uid for body in bodies if (owner := objects.controller(body)) and owner.kind == CRON_JOB.kind)
    kept_by_each = sum(default for _, default in HISTORY.values())
    of_cron_jobs = sum(max(0, number - kept_by_each) for number in owners.values())
    return sum(1 for body in free if objects.controller(body) is None) + of_cron_jobs


def leftover_pods(bodies: Sequence[Object], now: datetime) -> int:
    """Of pods that ended: those of no Job, that nobody looks after, made long enough ago."""
    hours = PrunePods().older_than_hours
    own = (body for body in _nobodys(bodies) if not ((owner := objects.controller(body)) and owner.kind == JOB.kind))
    return sum(1 for body in own if _older(body, hours, now))


def _nobodys(bodies: Iterable[Object]) -> list[Object]:
    return [body for body in bodies if not pruning.left_alone(body) and not pruning.needed_by_others(body, NO_RUN)]


def _older(body: Object, hours: int, now: datetime) -> bool:
    return now - objects.created(body) >= timedelta(hours=hours)
