"""prune_jobs: Jobs that ended long ago and that nobody looks after; their pods go with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import Field

from gsv_ops.cleanup import pruning
from gsv_ops.cleanup.pruning import Decision, Prune
from gsv_ops.kube import objects
from gsv_ops.kube.objects import Condition, at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import CRON_JOB, JOB
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import PlatformSpec

Outcome = Literal["Complete", "Failed"]
HISTORY: Mapping[Outcome, tuple[str, int]] = {
    # the CronJob's field, and the API server's default of it
    "Complete": ("successfulJobsHistoryLimit", 3),
    "Failed": ("failedJobsHistoryLimit", 1),
}


class PruneJobs(Prune):
    """How long a Job stays after its end."""

    complete_older_than_hours: int = Field(default=24, ge=0, description="Jobs that completed later stay.")
    failed_older_than_hours: int = Field(default=168, ge=0, description="Jobs that failed later stay, with what their pods tell of it.")


@dataclass(frozen=True)
class Seen:
    """All Jobs and CronJobs, which of the runs that made some are over, and the namespaces that do not exist."""

    jobs: tuple[Object, ...]
    cron_jobs: tuple[Object, ...]
    over: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


def observe(desk: Desk, params: PruneJobs) -> Seen:
    """Every Job of the namespaces, and the CronJobs that keep some."""
    namespaces, missing = pruning.places(desk, params)
    jobs = [body for place in namespaces for body in desk.kube.list(JOB, place)]
    cron_jobs = [body for place in namespaces for body in desk.kube.list(CRON_JOB, place)]
    return Seen(tuple(jobs), tuple(cron_jobs), pruning.runs_over(desk, jobs), missing)


def plan(spec: PlatformSpec, seen: Seen, params: PruneJobs, frame: PlanFrame, now: datetime) -> Plan:
    """A deletion for every Job that ended long enough ago; every other is kept, with the reason."""
    cron_jobs = {objects.uid(body): body for body in seen.cron_jobs}
    families: dict[str, list[Object]] = defaultdict(list)
    for body in seen.jobs:
        if owner := objects.controller(body):
            families[owner.uid].append(body)
    decisions = []
    for body in seen.jobs:
        owner = objects.controller(body)
        uid = owner.uid if owner else ""
        why = why_kept(body, cron_jobs.get(uid), families.get(uid, ()), seen.over, params, now)
        decisions.append(Decision(body, why, "" if why else _reason(body), {} if why else _guard(body)))
    return pruning.decided(frame, spec.cleanup, decisions, seen.missing)


def why_kept(
    body: Object, cron_job: Object | None, siblings: Sequence[Object], over: frozenset[str], params: PruneJobs, now: datetime
) -> str:
    """Why the Job stays; empty if it may go.

    `cron_job` is the one that its controller reference names by uid, `siblings` are all Jobs of that one; `over` are runs that ended.
    """
    return (
        pruning.left_alone(body)
        or _not_ended(body)
        or pruning.needed_by_others(body, over)
        or _of_a_controller(body, cron_job, siblings)
        or ("it removes itself: it has ttlSecondsAfterFinished" if at(body, "spec", "ttlSecondsAfterFinished") is not None else "")
        or _young(body, params, now)
    )


def ended(body: Object) -> Condition | None:
    """The condition that says how and since when the Job has ended; None while it has not. The number of its pods says nothing of it."""
    for outcome in ("Failed", "Complete"):
        condition = objects.condition(body, outcome)
        if condition and condition.true:
            return condition
    return None


def _not_ended(body: Object) -> str:
    if at(body, "spec", "suspend"):
        return "it is suspended"
    condition = ended(body)
    if condition is None:
        return "it has not ended"
    if condition.since is None:
        return "it does not say since when it has ended"
    for count in ("active", "terminating"):
        if at(body, "status", count, default=0):
            return f"it has ended, and {at(body, 'status', count)} of its pods are still {count}"
    return ""


def _of_a_controller(body: Object, cron_job: Object | None, siblings: Sequence[Object]) -> str:
    owner = objects.controller(body)
    if owner is None:
        return ""
    if owner.kind != CRON_JOB.kind:
        return f"it belongs to {owner.kind} {owner.name}, which knows what it needs"
    if cron_job is None:
        return f"its CronJob {owner.name} is not there, or is another of that name: the garbage collector takes it if it may go"
    condition = ended(body)
    assert condition is not None
    outcome: Outcome = "Failed" if condition.type == "Failed" else "Complete"
    limit_field, default = HISTORY[outcome]
    limit = int(at(cron_job, "spec", limit_field, default=default))
    alike = [s for s in siblings if (c := ended(s)) is not None and c.type == outcome and not objects.deleting(s)]
    # strictly: of two that started together neither takes the other's place
    newer = sum(1 for s in alike if _started(s) > _started(body))
    return f"among the {limit} that its CronJob {owner.name} keeps ({limit_field})" if newer < limit else ""


def _young(body: Object, params: PruneJobs, now: datetime) -> str:
    condition = ended(body)
    assert condition is not None
    assert condition.since is not None
    failed = condition.type == "Failed"
    hours = params.failed_older_than_hours if failed else params.complete_older_than_hours
    return f"{'failed' if failed else 'completed'} less than {hours} hours ago" if now - condition.since < timedelta(hours=hours) else ""


def _started(body: Object) -> datetime:
    """By what a CronJob orders its Jobs."""
    text = at(body, "status", "startTime")
    return objects.parse_time(str(text)) if text else objects.created(body)


def _reason(body: Object) -> str:
    condition = ended(body)
    assert condition is not None
    why = f" ({condition.reason})" if condition.type == "Failed" and condition.reason else ""
    return f"{'failed' if condition.type == 'Failed' else 'completed'}{why} {condition.since:%Y-%m-%d %H:%M} UTC; its pods go with it"


def _guard(body: Object) -> dict[str, Any]:
    found = {"spec.suspend": at(body, "spec", "suspend"), "status.startTime": at(body, "status", "startTime")}
    return {**found, "status.active": at(body, "status", "active"), "status.terminating": at(body, "status", "terminating")}


PRUNE_JOBS = pruning.cleanup(
    "prune_jobs",
    """
Deletes Jobs that ended long ago, with their pods. Whether a Job has ended its conditions say, never the number of its pods.

**When to run:** when ended Jobs clutter the cluster. A Job with `ttlSecondsAfterFinished` removes itself and is left alone.
**What it changes:** deletes the Jobs that the plan names and, with them, their pods and what those logged. Never one that has not ended or
is suspended, that its CronJob keeps, that Argo CD or Helm may make anew, or that CloudNativePG, Velero, Dagster or a run of the desk needs.
**How to undo:** launch `undo` with this run's id. A Job comes back suspended, so that it does not run again; its pods do not come back.
""",
    PruneJobs,
    observe,
    plan,
)
