"""scale_workload: another number of replicas, where nobody else sets it, and where there is room for them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance import look, rollout
from gsv_ops.maintenance.availability import below_budgets, wanted
from gsv_ops.maintenance.holders import holder
from gsv_ops.maintenance.look import Look
from gsv_ops.maintenance.rollout import NOTHING, Change, Watched
from gsv_ops.maintenance.workload import Seen, observe, resource_of
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Fact, Operation, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan
from gsv_ops.platform.spec import PlatformSpec

MOST_REPLICAS = 1000


class ScaleWorkload(Watched):
    """To how many."""

    kind: Literal["Deployment", "StatefulSet"] = Field(default="Deployment", description="What it is.")
    replicas: int = Field(default=-1, ge=-1, le=MOST_REPLICAS, description="How many pods it is to have. It must be given.")
    allow_zero: bool = Field(default=False, description="With replicas 0: yes, nothing of it is to run.")
    accept_outage: bool = Field(default=False, description="Scale down though fewer pods than a disruption budget asks for are left.")

    @model_validator(mode="after")
    def _meant(self) -> Self:
        if self.replicas < 0:
            raise ValueError("replicas is not given; expected how many pods it is to have")
        if self.replicas == 0 and not self.allow_zero:
            raise ValueError("replicas is 0, which ends all of its pods; launch it with `allow_zero: true` if that is wanted")
        return self


def plan(spec: PlatformSpec, seen: Seen, params: ScaleWorkload, frame: PlanFrame, now: datetime) -> Plan:
    """The patch of spec.replicas, unless somebody else sets it or the pods would find no room."""
    body, found = seen.workload, Look(seen.target)
    before = wanted(body)
    look.settled(found, seen, replaced=False)
    for scaler in seen.autoscalers:
        least, most = at(scaler, "spec", "minReplicas", default=1), at(scaler, "spec", "maxReplicas")
        found.refusals.append(
            f"HorizontalPodAutoscaler {objects.name(scaler)} sets its replicas, from {least} to {most}, and would set them back: "
            f"launch set_autoscaling with min_replicas or max_replicas"
        )
    found.held(holder(body, [("spec", "replicas")], seen.tracking, "spec.replicas"))
    if params.replicas > before:
        look.addition(found, seen, params.replicas - before)
    elif params.replicas < before:
        look.forbid(found, below_budgets(seen.budgets, body, params.replicas, params.replicas), params.accept_outage)
        claims = at(body, "spec", "persistentVolumeClaimRetentionPolicy", "whenScaled", default="Retain")
        if at(body, "spec", "volumeClaimTemplates") and claims == "Delete":
            found.refusals.append(
                "its persistentVolumeClaimRetentionPolicy deletes the volumes of pods that are scaled away: back them up, "
                "and set whenScaled: Retain first"
            )
    if params.replicas == before and not found.refusals:
        return frame.plan(kept=(Kept(seen.target, f"it is to have {before} pods already"), *found.kept), seen=1 + len(seen.pods))
    action = Action(
        "patch",
        seen.target,
        f"{before} -> {params.replicas} pods",
        {"spec.replicas": at(body, "spec", "replicas")},
        {"spec": {"replicas": params.replicas}},
    )
    return frame.plan(
        actions=() if found.refusals else (action,),
        kept=tuple(found.kept),
        refused=found.refused,
        facts={"replicas before": before},
        seen=1 + len(seen.pods),
    )


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Scale and watch. Raises OperationFailed with a reason for every pod that does not get ready."""
    if not plan.actions:
        return NOTHING
    (action,) = plan.actions
    before, to = int(plan.facts["replicas before"]), int(plan.params["replicas"])
    zero = ", allow_zero: true" if before == 0 else ""

    def undone(body: Object) -> str:
        now = at(body, "spec", "replicas")
        return "" if now == to else f"its replicas are {now}, not {to}"

    undo = f"launch scale_workload with {_names(plan)}, replicas: {before}{zero}"
    return rollout.roll(desk, plan, Change(action, action.body or {}, {"spec": {"replicas": before}}, undone, undo), journal)


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when it has as many pods as asked for, all ready, asked anew."""
    to = int(plan.params["replicas"])
    if not plan.actions:
        return Verdict("good", f"it is to have {to} pods already; nothing was changed", word="unchanged")
    target = plan.actions[0].target
    body = desk.kube.get(resource_of(target), target.name, target.namespace)
    left, _ = rollout.unfinished(body)
    if wanted(body) != to or left:
        return Verdict("bad", f"{target}: {left or f'its replicas are {wanted(body)} again, not {to}: look at who sets them'}")
    facts: dict[str, Fact] = {
        "replicas": to,
        "replicas before": int(plan.facts["replicas before"]),
        "seconds": float(results["seconds"]),
        "undo": str(results["undo"]),
    }
    return Verdict("good", f"{target}: {to} pods, all ready, after {results['seconds']} s", facts, word="scaled")


def _names(plan: Plan) -> str:
    return ", ".join(f"{key}: {plan.params[key]}" for key in ("namespace", "name", "kind"))


SCALE_WORKLOAD = Operation(
    name="scale_workload",
    description="""
Gives a Deployment or StatefulSet another number of pods.

**When to run:** when it needs more, or fewer will do, and no autoscaler decides that.
**What it changes:** `spec.replicas`. Refused where a HorizontalPodAutoscaler, an operator, or Argo CD from Git sets it and would set it
back (the plan names who, and where to change it), where the nodes or a ResourceQuota have no room, and where fewer pods than a
PodDisruptionBudget asks for would be left. To 0 only with `allow_zero: true`.
**How to undo:** launch it with the number of before, which the plan, the run's page and its evidence tell.
""",
    params=ScaleWorkload,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; with as many pods as asked for nothing is changed.",
)
