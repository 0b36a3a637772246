"""What every cleanup shares: where it looks, what it never takes, how much it may take, and how it is judged.

A cleanup decides for each object it sees: it goes, or it is kept and the reason is told. Everything that goes can be put back by undo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from pydantic import Field

from gsv_ops.kube import objects, resources
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NAMESPACE
from gsv_ops.operations.apply import ROOT_RUN_LABEL
from gsv_ops.operations.deletion import delete_all
from gsv_ops.operations.operation import Desk, Operation, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import CleanupLimits, PlatformSpec

KEEP = "gsv-ops/keep"
KEEP_PATH = f"metadata.annotations.{KEEP}"
TRACKED = "argocd.argoproj.io/tracking-id"
HOOKS = {"argocd.argoproj.io/hook": "an Argo CD hook", "helm.sh/hook": "a Helm hook or test"}
RELEASE = "meta.helm.sh/release-name"
INSTANCE = "app.kubernetes.io/instance"
MOST_NAMED = 5

P = TypeVar("P", bound="Prune")
S = TypeVar("S")


class Prune(Params):
    """Where to look."""

    namespace: str = Field(
        default="", description="Only this namespace. Empty: every namespace of platform.yaml's components and databases."
    )


@dataclass(frozen=True)
class Decision:
    """What becomes of one object: with `why_kept` it stays, else it goes for `reason`, relying on `guard`."""

    body: Object
    why_kept: str
    reason: str = ""
    guard: Mapping[str, Any] = field(default_factory=dict)


def places(desk: Desk, params: Prune) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The namespaces to look at, and those of platform.yaml that do not exist. Raises NamespaceNotFound with near matches."""
    if params.namespace:
        desk.kube.get(NAMESPACE, params.namespace)
        return (params.namespace,), ()
    named = set(desk.spec.namespaces)
    exist = {objects.name(body) for body in desk.kube.list(NAMESPACE, metadata_only=True)}
    return tuple(sorted(named & exist)), tuple(sorted(named - exist))


def runs_over(desk: Desk, bodies: Iterable[Object]) -> frozenset[str]:
    """The runs that made one of these and are over."""
    runs = {run for body in bodies if (run := objects.labels(body).get(ROOT_RUN_LABEL))}
    return frozenset(run for run in runs if desk.is_over(run))


def left_alone(body: Object) -> str:
    """Why no cleanup takes the object, whatever it is; empty if one may."""
    if objects.deleting(body):
        return "it is being deleted already"
    if KEEP in objects.annotations(body):
        return f"it has the annotation {KEEP}"
    return ""


def needed_by_others(body: Object, over: frozenset[str]) -> str:
    """Why what runs to an end is somebody's who looks after it, or would make it anew and run it again; empty if it is not."""
    labels, annotations = objects.labels(body), objects.annotations(body)
    for hook, what in HOOKS.items():
        if hook in annotations:
            return f"it is {what}: its hook policy removes it"
    if TRACKED in annotations:
        return f"Argo CD tracks it as {annotations[TRACKED].partition(':')[0]}: it would be made anew, and run again"
    if RELEASE in annotations:
        return f"it is of Helm release {annotations[RELEASE]}: an upgrade would make it anew, and run it again"
    if any(key.startswith("cnpg.io/") for key in labels) or any(
        str(owner.get("apiVersion", "")).startswith("postgresql.cnpg.io/") for owner in at(body, "metadata", "ownerReferences", default=[])
    ):
        return "it is CloudNativePG's"
    if any(key.startswith("velero.io/") for key in labels):
        return "it is Velero's"
    if "dagster/run-id" in labels or labels.get("app.kubernetes.io/name") == "dagster":
        return "it is Dagster's, whose runs are judged by it"
    if (run := labels.get(ROOT_RUN_LABEL)) is not None and run not in over:
        return f"run {run[:8]} made it, which is not known to be over"
    if objects.controller(body) is None and INSTANCE in labels:
        return f"it belongs to {labels[INSTANCE]} by its label {INSTANCE}: whoever installs that may make it anew, and run it again"
    return ""


def decided(
    frame: PlanFrame, limits: CleanupLimits, decisions: Sequence[Decision], missing: Sequence[str], facts: Mapping[str, Any] | None = None
) -> Plan:
    """The plan: a deletion for each object that goes, every other kept with its reason; refused whole if it is too much."""
    going = [Action("delete", target_of(d.body), d.reason, {**d.guard, KEEP_PATH: None}) for d in decisions if not d.why_kept]
    kept = [Kept(target_of(d.body), d.why_kept) for d in decisions if d.why_kept]
    absent = {"namespaces of platform.yaml that do not exist": ", ".join(missing)} if missing else {}
    return frame.plan(
        actions=tuple(going),
        kept=tuple(kept),
        refused=tuple(too_much(frame.operation, len(going), len(decisions), limits)),
        facts={**absent, **(facts or {})},
        seen=len(decisions),
    )


def too_much(operation: str, going: int, seen: int, limits: CleanupLimits) -> list[Refused]:
    """The refusals of a plan that would delete more than platform.yaml's `cleanup` allows."""
    found = []
    if going > limits.most_objects:
        found.append(f"it would delete {going} objects, more than cleanup.most_objects ({limits.most_objects})")
    if seen >= limits.percent_from and going * 100 > limits.most_percent * seen:
        found.append(f"it would delete {going} of the {seen} objects it saw, more than cleanup.most_percent ({limits.most_percent})")
    target = Target("gsv-ops", "Plan", operation)
    return [Refused(target, f"{why}. Narrow it by its parameters, or change the limit in platform.yaml.") for why in found]


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when nothing of the plan is there any more, or it is going: asked anew, once for each kind and namespace."""
    there: dict[tuple[str, str, str], dict[str, bool]] = {}
    left, going = [], 0
    for target in (action.target for action in plan.actions):
        key = (target.api_version, target.kind, target.namespace)
        if key not in there:
            resource = resources.of({"apiVersion": target.api_version, "kind": target.kind})
            found = desk.kube.list(resource, target.namespace, metadata_only=True)
            there[key] = {objects.uid(body): objects.deleting(body) for body in found}
        if target.uid in there[key]:
            going += there[key][target.uid]
            left += [] if there[key][target.uid] else [str(target)]
    if left:
        named = ", ".join(left[:MOST_NAMED]) + (f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else "")
        return Verdict("bad", f"still there: {named}")
    facts = {"deleted": len(plan.actions), "of them still going": going, "kept": len(plan.kept)}
    said = f"{len(plan.actions)} objects deleted, {len(plan.kept)} kept; undo puts back what this run deleted"
    return Verdict("good", said if plan.actions else f"nothing to delete, {len(plan.kept)} kept", facts, word="cleaned up")


def target_of(body: Object) -> Target:
    """The object as a plan names it."""
    return Target(body["apiVersion"], body["kind"], objects.name(body), objects.namespace(body) or "", objects.uid(body))


def cleanup(
    name: str,
    description: str,
    params: type[P],
    observe: Callable[[Desk, P], S],
    plan: Callable[[PlatformSpec, S, P, PlanFrame, datetime], Plan],
) -> Operation[P, S]:
    """A cleanup as an operation: a plan that was read is required, undo is kept, and two of them wait for each other."""
    return Operation(
        name=name,
        description=description,
        params=params,
        observe=observe,
        plan=plan,
        execute=delete_all,
        verify=verify,
        rerun="yes; what is gone stays gone, and what was left alone is judged anew.",
        pool="cleanup",
        plan_required=True,
        plan_waived=lambda spec: spec.cleanup.scheduled_deletions,
        keeps_undo=True,
    )
