"""set_autoscaling: how many pods a workload has at least and at most, and by which load: its HorizontalPodAutoscaler."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError, NotServed, WaitTimeout
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import AUTOSCALER, POD_METRICS
from gsv_ops.maintenance import autoscaler, look, workload
from gsv_ops.maintenance.availability import below_budgets, wanted
from gsv_ops.maintenance.holders import Tracking, holder
from gsv_ops.maintenance.look import Look
from gsv_ops.maintenance.requests import effective
from gsv_ops.maintenance.scale_workload import MOST_REPLICAS
from gsv_ops.maintenance.workload import OfWorkload, Seen, tracking_of
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Fact, Operation, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan, Target
from gsv_ops.platform.spec import PlatformSpec


class SetAutoscaling(OfWorkload):
    """From how many to how many, and by what."""

    kind: Literal["Deployment", "StatefulSet"] = Field(default="Deployment", description="What it is.")
    min_replicas: int = Field(default=0, ge=0, le=MOST_REPLICAS, description="The fewest pods. 0: as it is; 1 for a new one.")
    max_replicas: int = Field(default=0, ge=0, le=MOST_REPLICAS, description="The most pods. 0: as it is; a new one needs it.")
    cpu_percent: int = Field(default=0, ge=0, le=1000, description="Usage it aims at, of the cpu asked for. 0: as it is.")
    memory_percent: int = Field(default=0, ge=0, le=1000, description="Usage it aims at, of the memory asked for. 0: as it is.")
    remove: bool = Field(default=False, description="Take its autoscaler away; its pods stay as many as they are.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        chosen = [name for name in ("min_replicas", "max_replicas", *autoscaler.METRICS) if getattr(self, name)]
        if self.remove and chosen:
            raise ValueError(f"remove takes the autoscaler away; expected no {', '.join(chosen)} beside it")
        if not self.remove and not chosen:
            raise ValueError("nothing is asked for: expected min_replicas, max_replicas, cpu_percent, memory_percent, or remove")
        if self.min_replicas and self.max_replicas and self.min_replicas > self.max_replicas:
            raise ValueError(f"min_replicas {self.min_replicas} is more than max_replicas {self.max_replicas}")
        return self


@dataclass(frozen=True)
class Scaled:
    """The workload with its surroundings, who tracks its autoscaler, and why no usage can be had (empty: it can)."""

    seen: Seen
    tracking: Tracking
    no_metrics: str
    taken: str


def observe(desk: Desk, params: SetAutoscaling) -> Scaled:
    """The workload, its autoscalers, and whether usage is measured here. Raises OperationFailed, KubeError."""
    seen = workload.observe(desk, params)
    try:
        desk.kube.list(POD_METRICS, params.namespace)
        no_metrics = ""
    except NotServed:
        no_metrics = "metrics.k8s.io is not served: metrics-server is not installed"
    except KubeError as problem:
        no_metrics = f"metrics.k8s.io does not answer: {problem}"
    named = [body for body in desk.kube.list(AUTOSCALER, params.namespace) if objects.name(body) == params.name]
    others = [at(body, "spec", "scaleTargetRef", "name", default="") for body in named if not workload.scales(body, seen.workload)]
    tracking = tracking_of(desk, seen.autoscalers[0]) if len(seen.autoscalers) == 1 else Tracking()
    return Scaled(seen, tracking, no_metrics, str(others[0]) if others else "")


def plan(spec: PlatformSpec, scaled: Scaled, params: SetAutoscaling, frame: PlanFrame, now: datetime) -> Plan:
    """The autoscaler made, changed, or deleted."""
    seen, scalers = scaled.seen, scaled.seen.autoscalers
    found = Look(seen.target)
    if len(scalers) > 1:
        names = ", ".join(objects.name(body) for body in scalers)
        found.refusals.append(f"it has several autoscalers, which fight each other: {names}. Delete all but one")
        return frame.plan(refused=found.refused, seen=len(scalers))
    current = scalers[0] if scalers else None
    if current is not None:
        fields = [("spec", field) for field in ("minReplicas", "maxReplicas", "metrics")]
        found.held(holder(current, fields, scaled.tracking, f"the autoscaler {objects.name(current)}"))
    if params.remove:
        return _removal(frame, found, seen, current)
    before, after = autoscaler.spec(current), _wanted(found, current, params)
    if current is not None and before == after and not found.refusals:
        return frame.plan(kept=(Kept(workload.target_of(current), "it is so already"), *found.kept), seen=1)
    _judge(found, scaled, after, new=current is None, measured=before["metrics"] == after["metrics"])
    why = f"{autoscaler.shown(before)} -> {autoscaler.shown(after)}" if current is not None else autoscaler.shown(after)
    if current is not None:
        guard = {f"spec.{key}": at(current, "spec", key) for key in before}
        action = Action("patch", workload.target_of(current), why, guard, {"spec": after})
    else:
        target = Target(AUTOSCALER.api_version, AUTOSCALER.kind, params.name, params.namespace)
        reference = {"apiVersion": seen.target.api_version, "kind": params.kind, "name": params.name}
        body = {"apiVersion": AUTOSCALER.api_version, "kind": AUTOSCALER.kind, "spec": {"scaleTargetRef": reference, **after}}
        action = Action("create", target, why, {}, body)
    return frame.plan(
        actions=() if found.refusals else (action,),
        kept=tuple(found.kept),
        refused=found.refused,
        facts={"before": before if current is not None else "no autoscaler", "after": after, "workload": seen.target.uid},
        seen=1 + len(scalers),
    )


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Carry out the one action."""
    if plan.actions and plan.actions[0].verb == "patch" and journal.begun:
        target = plan.actions[0].target
        found = apply.find(desk, AUTOSCALER, target)
        if found is not None and objects.uid(found) == target.uid and autoscaler.spec(found) == plan.facts["after"]:
            journal.outcome("patch", target, "already", "this run had changed it before")
            return {"undo": undo_of(plan)}
    journal.note(began=desk.now().isoformat())
    apply.apply_plan(desk, plan, journal)
    return {"undo": undo_of(plan)}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when it stands as planned and has its metrics; inconclusive when it has none yet."""
    if not plan.actions:
        return Verdict("good", "nothing was to be changed", word="unchanged")
    action = plan.actions[0]
    facts: dict[str, Fact] = {"undo": str(results["undo"])}
    if action.verb == "delete":
        left = apply.find(desk, AUTOSCALER, action.target)
        gone = left is None or objects.deleting(left) or objects.uid(left) != action.target.uid
        return Verdict("good", f"{action.target} is gone", facts, word="removed") if gone else Verdict("bad", f"{action.target} is there")
    body = desk.kube.get(AUTOSCALER, action.target.name, action.target.namespace)
    if autoscaler.spec(body) != plan.facts["after"]:
        return Verdict("bad", f"{action.target} is {autoscaler.shown(autoscaler.spec(body))} again: look at who sets it")
    facts |= {
        "min replicas": int(at(body, "spec", "minReplicas", default=autoscaler.API_MINIMUM)),
        "max replicas": int(at(body, "spec", "maxReplicas")),
    }
    try:
        said = desk.kube.wait(
            AUTOSCALER,
            action.target.name,
            action.target.namespace,
            autoscaler.measures,
            timeout=desk.spec.rollouts.metrics_seconds,
            what="its metrics",
        )
    except WaitTimeout as problem:
        why = "; ".join(problem.conditions) or "its controller has not looked at it yet"
        return Verdict("inconclusive", f"{action.target} is set, and does not scale yet: {why}", facts)
    return Verdict("good", f"{action.target}: {autoscaler.shown(autoscaler.spec(body))}; {said}", facts, word="set")


def undo_of(plan: Plan) -> str:
    """What an operator launches to have it as before."""
    before = plan.facts["before"]
    which = ", ".join(f"{key}: {plan.params[key]}" for key in ("namespace", "name", "kind"))
    if plan.params["remove"]:
        return "launch undo with this run's id"
    if isinstance(before, str):
        return f"launch set_autoscaling with {which}, remove: true"
    metrics = [
        f"{field}: {value}" for field, key in autoscaler.METRICS.items() if (value := autoscaler.utilisation(before["metrics"], key))
    ]
    chosen = [f"min_replicas: {before['minReplicas']}", f"max_replicas: {before['maxReplicas']}", *metrics]
    return f"launch set_autoscaling with {which}, {', '.join(chosen)}"


def _removal(frame: PlanFrame, found: Look, seen: Seen, current: Object | None) -> Plan:
    if current is None:
        return frame.plan(kept=(Kept(seen.target, "it has no autoscaler"),), seen=1)
    why = f"its pods stay {wanted(seen.workload)}; scale_workload may then scale it"
    guard = {f"spec.{key}": at(current, "spec", key) for key in ("minReplicas", "maxReplicas")}
    action = Action("delete", workload.target_of(current), why, guard)
    facts = {"before": autoscaler.spec(current), "after": "no autoscaler", "workload": seen.target.uid}
    return frame.plan(actions=() if found.refusals else (action,), kept=tuple(found.kept), refused=found.refused, facts=facts, seen=2)


def _judge(found: Look, scaled: Scaled, after: Mapping[str, Any], *, new: bool, measured: bool) -> None:
    seen, body = scaled.seen, scaled.seen.workload
    if scaled.taken:
        found.refusals.append(f"the autoscaler {objects.name(body)} is of another workload, {scaled.taken}: rename or delete it")
    if new:
        # Git must not hold what the autoscaler is to set
        found.held(holder(body, [("spec", "replicas")], seen.tracking, "spec.replicas (take it out of Git before it is autoscaled)"))
    least, most, count = after["minReplicas"], after["maxReplicas"], wanted(body)
    if most and least > most:
        found.refusals.append(f"it would have at least {least} and at most {most} pods; expected the least not to be more than the most")
    containers = at(body, "spec", "template", "spec", "containers", default=[])
    for metric in after["metrics"]:
        key = at(metric, "resource", "name")
        if metric.get("type") != "Resource" or at(metric, "resource", "target", "type") != "Utilization":
            continue
        if scaled.no_metrics and measured:
            found.remark(f"it goes by usage of {key}, and {scaled.no_metrics}: until then only its bounds count")
        elif scaled.no_metrics:
            found.refusals.append(f"it would go by usage of {key}, and {scaled.no_metrics}")
        without = [str(c["name"]) for c in containers if key not in effective(c, seen.ranges)[0]]
        if without:
            found.refusals.append(
                f"it would go by the share of the {key} asked for, and {', '.join(without)} asks for none: launch set_resources first"
            )
    if count == 0:
        found.remark("it is scaled to zero: an autoscaler does nothing until it has a pod")
    elif least > count:
        look.addition(found, seen, least - count)
    elif most and most < count:
        look.forbid(found, below_budgets(seen.budgets, body, most, most), accepted=False)
        found.remark(f"it has {count} pods: they become {most} at once")


def _wanted(found: Look, current: Object | None, params: SetAutoscaling) -> dict[str, Any]:
    after = autoscaler.spec(current)
    after |= {"minReplicas": params.min_replicas or after["minReplicas"], "maxReplicas": params.max_replicas or after["maxReplicas"]}
    for field, key in autoscaler.METRICS.items():
        if percent := getattr(params, field):
            target = {"type": "Utilization", "averageUtilization": percent}
            one = {"type": "Resource", "resource": {"name": key, "target": target}}
            after["metrics"] = [m for m in after["metrics"] if at(m, "resource", "name") != key] + [one]
    if current is None and not after["maxReplicas"]:
        found.refusals.append("it has no autoscaler yet: a new one needs max_replicas")
    if current is None and not after["metrics"]:
        found.refusals.append("it has no autoscaler yet: a new one needs cpu_percent or memory_percent")
    return after


SET_AUTOSCALING = Operation(
    name="set_autoscaling",
    description="""
Makes, changes or removes the HorizontalPodAutoscaler of a Deployment or StatefulSet.

**When to run:** when it is to have more or fewer pods by its load, or its autoscaler's bounds are too narrow.
**What it changes:** the one autoscaler that targets the workload (made under the workload's name where there is none), and by it the number
of its pods at once. Refused where usage is not measured on the cluster, where a container asks for none of what it would go by, and where
Argo CD from Git would set the autoscaler, or the replicas, back.
**How to undo:** launch it with the bounds of before, which the run's page and its evidence tell. What `remove` deleted, `undo` puts back.
""",
    params=SetAutoscaling,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; what is so already is left alone.",
    keeps_undo=True,
)
