"""sweep_scratch_clusters: takes down what proofs left behind and nothing else.

Two ways find it: the journals of runs that are over, and, where even the journal is lost, our label with an expiry that has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gsv_ops.database.moment.operation import PROVE_POINT_IN_TIME
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.database.scratch_run import release, volumes_left
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NAMESPACE, NETWORK_POLICY, POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Operation, OperationFailed, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan, Target
from gsv_ops.platform.spec import PlatformSpec

MAKERS = (PROVE_BACKUP.name, PROVE_POINT_IN_TIME.name)
OURS = f"{apply.OPERATION_LABEL} in ({', '.join(MAKERS)})"
SWEPT = (POSTGRES_CLUSTER, NETWORK_POLICY)


class SweepScratchClusters(Params):
    """There is nothing to choose: only what proofs made and left is ever looked at."""


@dataclass(frozen=True)
class Scratch:
    """What proofs made and is still there, and the root runs among their makers that are over."""

    found: tuple[Object, ...]
    over: frozenset[str]


def observe(desk: Desk, params: SweepScratchClusters) -> Scratch:
    """Everything with a proof's label in the databases' namespaces."""
    found: list[Object] = []
    for namespace in sorted({database.namespace for database in desk.spec.databases.values()}):
        desk.kube.get(NAMESPACE, namespace)
        for resource in SWEPT:
            found += [
                {"apiVersion": resource.api_version, "kind": resource.kind, **body}
                for body in desk.kube.list(resource, namespace, labels=OURS)
            ]
    runs = {run for body in found if (run := objects.labels(body).get(apply.ROOT_RUN_LABEL))}
    return Scratch(tuple(found), frozenset(run for run in runs if desk.is_over(run)))


def plan(spec: PlatformSpec, snapshot: Scratch, params: SweepScratchClusters, frame: PlanFrame, now: datetime) -> Plan:
    """A deletion for what is expired or whose run is over; the rest is kept, with the reason."""
    actions, kept = [], []
    for body in snapshot.found:
        target = Target(body["apiVersion"], body["kind"], objects.name(body), objects.namespace(body) or "", objects.uid(body))
        run = objects.labels(body).get(apply.ROOT_RUN_LABEL, "")
        guard = {f"metadata.labels.{label}": objects.labels(body).get(label) for label in (apply.OPERATION_LABEL, apply.ROOT_RUN_LABEL)}
        expires = expiry(body)
        if guard[f"metadata.labels.{apply.OPERATION_LABEL}"] not in MAKERS:
            kept.append(Kept(target, f"its label {apply.OPERATION_LABEL} names no proof"))
        elif run in snapshot.over:
            actions.append(Action("delete", target, f"run {run[:8]} that made it is over", guard))
        elif expires is None:
            kept.append(Kept(target, f"it has no readable {apply.EXPIRES_ANNOTATION}, and its run is not known to be over"))
        elif expires <= now:
            actions.append(Action("delete", target, "it is past its time", guard))
        else:
            kept.append(Kept(target, f"its run may be going on; it expires at {expires:%Y-%m-%d %H:%M} UTC"))
    return frame.plan(actions=tuple(actions), kept=tuple(kept), seen=len(snapshot.found))


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Release the journals of runs that are over, then delete what is still there of the plan. One that fails holds up no other.

    Each cluster's volumes, and so its pods, are waited for: the NetworkPolicy after it shuts them off as long as they run.
    """
    released, problems = [], list[str]()
    for left in [journal for maker in MAKERS for journal in Journal.unreleased(desk.records, maker)]:
        if desk.is_over(left.root_run_id):
            try:
                release(desk, left)
                released.append(left.root_run_id)
            except (KubeError, OperationFailed) as problem:
                problems.append(f"run {left.root_run_id}: {problem}")
    blocked = set[str]()  # runs whose cluster is still there
    for action in plan.actions:
        run = str(action.guard[f"metadata.labels.{apply.ROOT_RUN_LABEL}"])
        if run in blocked:
            continue
        try:
            _sweep_away(desk, action, journal)
        except (KubeError, OperationFailed) as problem:
            blocked.add(run)
            problems.append(str(problem))
    if problems:
        raise OperationFailed("; ".join(problems))
    return {"released": released}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when nothing of the plan is there any more, or is going."""
    left = []
    for action in plan.actions:
        found = apply.find(desk, next(r for r in SWEPT if r.kind == action.target.kind), action.target)
        if found is not None and objects.uid(found) == action.target.uid and not at(found, "metadata", "deletionTimestamp"):
            left.append(str(action.target))
    if left:
        raise OperationFailed(f"still there: {', '.join(left)}")
    return Verdict(
        "good", f"{len(plan.actions)} objects removed, {len(plan.kept)} kept", {"removed": len(plan.actions), "kept": len(plan.kept)}
    )


def _sweep_away(desk: Desk, action: Action, journal: Journal) -> None:
    apply.delete(desk, action, journal)
    target = action.target
    if target.kind == POSTGRES_CLUSTER.kind:
        seconds = max(database.proof.release_seconds for database in desk.spec.databases.values())
        left = volumes_left(desk, target.namespace, target.name, desk.monotonic() + seconds)
        if left:
            raise OperationFailed(f"still there {seconds} s after {target} was deleted: {', '.join(left)}")


def expiry(body: Object) -> datetime | None:
    """When the sweeper may remove the object; None if it does not say so in a way that can be read."""
    try:
        return parse_time(at(body, "metadata", "annotations", apply.EXPIRES_ANNOTATION, default=""))
    except ValueError:
        return None


SWEEP_SCRATCH_CLUSTERS = Operation(
    name="sweep_scratch_clusters",
    description="""
Removes scratch clusters (with their volumes and NetworkPolicies) that proofs left behind because they were killed.

**When to run:** hourly by schedule; by hand when a proof says that something is left.
**What it changes:** deletes only objects that a proof made and whose run is over or whose time is past.
**How to undo:** nothing to undo; a scratch cluster holds nothing that the backup does not.
""",
    params=SweepScratchClusters,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; what is gone stays gone.",
    pool="database_proof_sweep",
)
