"""prune_pods: pods that ended, were evicted or failed, and that nothing needs any more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from gsv_ops.cleanup import pruning
from gsv_ops.cleanup.pruning import Decision, Prune
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import DAEMON_SET, JOB, POD, REPLICA_SET, STATEFUL_SET
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import PlatformSpec

ENDED = ("Succeeded", "Failed")
MIRROR, SOURCE = "kubernetes.io/config.mirror", "kubernetes.io/config.source"
CONTROLLERS = (REPLICA_SET, STATEFUL_SET, DAEMON_SET)
"""Whether one of these still lives is asked. Jobs are not: their pods go with them."""


class PrunePods(Prune):
    """How long a pod stays after its end."""

    older_than_hours: int = Field(default=24, ge=0, description="Pods that ended later stay, with what they logged.")


@dataclass(frozen=True)
class Seen:
    """All pods, the uids of the controllers that live, which of the runs that made pods are over, and the namespaces that do not exist."""

    pods: tuple[Object, ...]
    living: frozenset[str]
    over: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


def observe(desk: Desk, params: PrunePods) -> Seen:
    """Every pod of the namespaces, and what may still control it."""
    namespaces, missing = pruning.places(desk, params)
    pods = [body for place in namespaces for body in desk.kube.list(POD, place)]
    # after the pods: a controller that is made in between is then known to live
    controllers = (body for place in namespaces for kind in CONTROLLERS for body in desk.kube.list(kind, place, metadata_only=True))
    living = frozenset(objects.uid(body) for body in controllers)
    return Seen(tuple(pods), living, pruning.runs_over(desk, pods), missing)


def plan(spec: PlatformSpec, seen: Seen, params: PrunePods, frame: PlanFrame, now: datetime) -> Plan:
    """A deletion for every pod that ended and is not needed; every other is kept, with the reason."""
    decisions = []
    for body in seen.pods:
        why = why_kept(body, seen.living, seen.over, params, now)
        decisions.append(Decision(body, why, "" if why else _reason(body), {} if why else _guard(body)))
    return pruning.decided(frame, spec.cleanup, decisions, seen.missing)


def why_kept(body: Object, living: frozenset[str], over: frozenset[str], params: PrunePods, now: datetime) -> str:
    """Why the pod stays; empty if it may go. `living`: the uids of the controllers that live, `over`: the runs that ended."""
    phase = at(body, "status", "phase", default="not known")
    if phase not in ENDED:
        return f"it has not ended: its phase is {phase}"
    return (
        pruning.left_alone(body)
        or _static(body)
        or pruning.needed_by_others(body, over)
        or _controlled(body, living)
        or _young(body, params, now)
    )


def ended_at(body: Object) -> datetime | None:
    """The last moment that its status tells of; None where it tells of none. An evicted pod has no container that ended."""
    told = [at(body, "status", "startTime")]
    for kind in ("initContainerStatuses", "containerStatuses"):
        told += [at(container, "state", "terminated", "finishedAt") for container in at(body, "status", kind, default=[])]
    moments = [objects.parse_time(str(text)) for text in told if text]
    moments += [condition.since for condition in objects.conditions(body) if condition.since]
    return max(moments, default=None)


def _static(body: Object) -> str:
    annotations = objects.annotations(body)
    if MIRROR in annotations or annotations.get(SOURCE, "api") != "api" or any(owner.kind == "Node" for owner in objects.owners(body)):
        return "it is a static pod: its node keeps it"
    return ""


def _controlled(body: Object, living: frozenset[str]) -> str:
    owner = objects.controller(body)
    if owner is None:
        return ""
    if owner.kind == JOB.kind:
        return f"it is of Job {owner.name}, which counts it, and goes with it"
    reference = next(o for o in body["metadata"]["ownerReferences"] if o.get("controller"))
    if (owner.kind, reference["apiVersion"]) not in {(kind.kind, kind.api_version) for kind in CONTROLLERS}:
        return f"it belongs to {owner.kind} {owner.name}, which knows what it needs"
    if owner.uid not in living:
        return ""
    if owner.kind == REPLICA_SET.kind:
        # it counts only pods that have not ended, and has made another one long ago
        return ""
    return f"it is of {owner.kind} {owner.name}, which lives and replaces it itself"


def _young(body: Object, params: PrunePods, now: datetime) -> str:
    moment = ended_at(body)
    if moment is None:
        return "it does not say when it ended"
    return f"ended less than {params.older_than_hours} hours ago" if now - moment < timedelta(hours=params.older_than_hours) else ""


def _reason(body: Object) -> str:
    owner = objects.controller(body)
    whose = f"; {owner.kind} {owner.name} does not need it" if owner else "; no controller"
    why = at(body, "status", "reason")
    return f"{at(body, 'status', 'phase')}{f' ({why})' if why else ''} {ended_at(body):%Y-%m-%d %H:%M} UTC{whose}"


def _guard(body: Object) -> dict[str, Any]:
    return {"status.phase": at(body, "status", "phase")}


PRUNE_PODS = pruning.cleanup(
    "prune_pods",
    """
Deletes pods that ended, failed or were evicted, and that nothing needs any more.

**When to run:** when ended pods clutter the cluster, such as after a node ran full and evicted many.
**What it changes:** deletes the pods that the plan names, and with them what they logged. Never one that has not ended, a static pod, a
Job's (it goes with its Job), or one that CloudNativePG, Velero, Dagster, Argo CD, Helm or a run of this desk looks after.
**How to undo:** launch `undo` with this run's id. A pod comes back with a scheduling gate, so that it does not run again.
""",
    PrunePods,
    observe,
    plan,
)
