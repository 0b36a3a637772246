"""set_resources: what one container of a workload asks for, and the most it gets; rolled out and watched."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import number_of
from gsv_ops.kube.resources import POD_METRICS
from gsv_ops.maintenance import look, rollout, usage, workload
from gsv_ops.maintenance.availability import pace, wanted
from gsv_ops.maintenance.holders import holder
from gsv_ops.maintenance.look import Look
from gsv_ops.maintenance.requests import amounts, effective, shown
from gsv_ops.maintenance.rollout import NOTHING, Change, Watched
from gsv_ops.maintenance.seen import listed
from gsv_ops.maintenance.workload import Seen, resource_of
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Fact, Operation, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan
from gsv_ops.platform.spec import PlatformSpec

NONE = "none"
LEAST_MEMORY = 2**20
FIELDS = {"cpu_request": ("requests", "cpu"), "memory_request": ("requests", "memory")}
FIELDS |= {"cpu_limit": ("limits", "cpu"), "memory_limit": ("limits", "memory")}
Resources = dict[str, dict[str, str]]


class SetResources(Watched):
    """Which container, and its amounts. Empty leaves an amount as it is, `none` takes it away."""

    container: str = Field(default="", description="The container's name. Empty: its only one.")
    cpu_request: str = Field(default="", description="Such as 500m or 2. Empty: as it is. none: take it away.")
    cpu_limit: str = Field(default="", description="Such as 2. Empty: as it is. none: take it away.")
    memory_request: str = Field(default="", description="Such as 512Mi or 1Gi. Empty: as it is. none: take it away.")
    memory_limit: str = Field(default="", description="Such as 4Gi. Empty: as it is. none: take it away.")
    accept_outage: bool = Field(
        default=False, description="Do it though no pod, or fewer than a budget asks for, is left, or though it uses more memory."
    )

    @field_validator(*FIELDS)
    @classmethod
    def _quantity(cls, value: str) -> str:
        if value not in ("", NONE) and number_of(value) < 0:
            raise ValueError(f"{value!r} is negative: expected an amount such as 500m or 1Gi")
        return value

    @model_validator(mode="after")
    def _plausible(self) -> Self:
        asked = {key: getattr(self, key) for key in FIELDS if getattr(self, key)}
        if not asked:
            raise ValueError(f"nothing is asked for: expected at least one of {', '.join(FIELDS)}")
        for key, value in asked.items():
            if key.startswith("memory") and value != NONE and number_of(value) < LEAST_MEMORY:
                raise ValueError(f"{key} {value!r} is {number_of(value):f} bytes: a container cannot run in that; is Mi or Gi meant?")
        return self


def observe(desk: Desk, params: SetResources) -> Seen:
    """The workload with its surroundings, and what its pods use now. Raises OperationFailed, KubeError."""
    return replace(workload.observe(desk, params), usage=listed(desk.kube, POD_METRICS, params.namespace))


def plan(spec: PlatformSpec, seen: Seen, params: SetResources, frame: PlanFrame, now: datetime) -> Plan:
    """The patch of one container's resources, unless somebody else sets them or the new pods would find no room."""
    body, found = seen.workload, Look(seen.target)
    container = _container(found, seen, params.container)
    if container is None:
        return frame.plan(refused=found.refused, kept=tuple(found.kept), seen=1)
    name = str(container["name"])
    before, after = {k: dict(at(container, "resources", k, default={})) for k in ("requests", "limits")}, _after(container, params)
    changed = [key for key in FIELDS.values() if _amount(before, key) != _amount(after, key)]
    look.settled(found, seen, replaced=wanted(body) > 0)
    if not changed and not found.refusals:
        return frame.plan(kept=(Kept(seen.target, f"container {name} has these resources already"), *found.kept), seen=1 + len(seen.pods))
    paths = [("spec", "template", "spec", "containers", f"name={name}", "resources", *key) for key in changed]
    found.held(holder(body, paths, seen.tracking, f"the resources of container {name}"))
    new_container = {**container, "resources": {**at(container, "resources", default={}), **after}}
    template = at(body, "spec", "template", "spec")
    new = {**template, "containers": [new_container if c["name"] == name else c for c in template["containers"]]}
    requests, limits = effective(new_container, seen.ranges)
    for key in sorted(requests.keys() & limits.keys()):
        if requests[key] > limits[key]:
            found.refusals.append(
                f"container {name} would ask for {key} {shown(key, requests[key])} and get {shown(key, limits[key])} at most"
            )
    usage.looked_at(found, seen, name, limits, params.accept_outage)
    if wanted(body):
        look.outage(found, seen, params.accept_outage)
    look.replacement(found, seen, new)
    for scaler in seen.autoscalers:
        if any(key[0] == "requests" for key in changed):
            found.remark("goes by the share of what is asked for: with another request it scales at another load", scaler)
    action = Action(
        "patch",
        seen.target,
        f"container {name}: {_shown(before)} -> {_shown(after)}; {wanted(body)} pods are replaced: {pace(body).how}",
        look.guard(seen),
        _patch(name, before, after),
    )
    return frame.plan(
        actions=() if found.refusals else (action,),
        kept=tuple(found.kept),
        refused=found.refused,
        facts={"container": name, "resources before": before, "resources after": after},
        seen=1 + len(seen.pods),
    )


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Set them and watch. Raises OperationFailed with a reason for every pod that does not get ready."""
    if not plan.actions:
        return NOTHING
    (action,) = plan.actions
    name, before, after = plan.facts["container"], plan.facts["resources before"], plan.facts["resources after"]

    def undone(body: Object) -> str:
        return "" if _same(resources_of(body, name), after) else f"the resources of container {name} are others again"

    change = Change(action, action.body or {}, _patch(name, after, before), undone, undo_of(plan), "strategic")
    return rollout.roll(desk, plan, change, journal)


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when every pod has them and is ready, asked anew."""
    if not plan.actions:
        return Verdict("good", "it has these resources already; nothing was changed", word="unchanged")
    target, name = plan.actions[0].target, plan.facts["container"]
    body = desk.kube.get(resource_of(target), target.name, target.namespace)
    left, _ = rollout.unfinished(body)
    if left or not _same(resources_of(body, name), plan.facts["resources after"]):
        return Verdict("bad", f"{target}: {left or 'its resources are others again: look at who sets them'}")
    facts: dict[str, Fact] = {"pods": wanted(body), "seconds": float(results["seconds"])}
    facts |= {"fewest available pods seen": int(results["least_available"]), "before": _shown(plan.facts["resources before"])}
    facts |= {"now": _shown(plan.facts["resources after"]), "undo": str(results["undo"])}
    return Verdict("good", f"{target}: {wanted(body)} pods with {facts['now']} are ready after {results['seconds']} s", facts, word="set")


def resources_of(body: Object, name: str) -> Resources:
    """The container's requests and limits as they stand in the template."""
    containers = at(body, "spec", "template", "spec", "containers", default=[])
    found: Object = next((c for c in containers if c.get("name") == name), {})
    return {kind: dict(at(found, "resources", kind, default={})) for kind in ("requests", "limits")}


def undo_of(plan: Plan) -> str:
    """What an operator launches to have them as before."""
    before, after = plan.facts["resources before"], plan.facts["resources after"]
    fields = {name: before[kind].get(key, NONE) for name, (kind, key) in FIELDS.items() if before[kind].get(key) != after[kind].get(key)}
    chosen = {key: plan.params[key] for key in ("namespace", "name", "kind")} | {"container": plan.facts["container"]} | fields
    return "launch set_resources with " + ", ".join(f"{key}: {value}" for key, value in chosen.items())


def _container(found: Look, seen: Seen, name: str) -> Object | None:
    containers: list[Object] = at(seen.workload, "spec", "template", "spec", "containers", default=[])
    names = [str(c["name"]) for c in containers]
    if not name and len(containers) == 1:
        return containers[0]
    if name in names:
        return containers[names.index(name)]
    near = difflib.get_close_matches(name, names, 1)
    said = f"it has no container {name!r}" if name else "it has several containers"
    found.refusals.append(f"{said}; expected `container` to be one of {', '.join(names)}" + (f": is {near[0]} meant?" if near else ""))
    return None


def _after(container: Object, params: SetResources) -> Resources:
    found = {kind: dict(at(container, "resources", kind, default={})) for kind in ("requests", "limits")}
    for field, (kind, key) in FIELDS.items():
        value = getattr(params, field)
        if value == NONE:
            found[kind].pop(key, None)
        elif value and _amount(found, (kind, key)) != number_of(value):
            found[kind][key] = value
    return found


def _amount(resources: Resources, key: tuple[str, str]) -> Decimal | None:
    value = resources[key[0]].get(key[1])
    return None if value is None else number_of(value)


def _same(one: Resources, other: Resources) -> bool:
    # the API server writes quantities its own way: 1024Mi comes back as 1Gi
    return all(amounts(one[kind]) == amounts(other[kind]) for kind in ("requests", "limits"))


def _patch(name: str, before: Resources, after: Resources) -> dict[str, Any]:
    """What makes `after` of `before`: lists of containers are merged by name, a null takes an amount away."""
    change = {kind: {key: after[kind].get(key) for key in {**before[kind], **after[kind]}} for kind in ("requests", "limits")}
    containers = [{"name": name, "resources": {kind: values for kind, values in change.items() if values}}]
    return {"spec": {"template": {"spec": {"containers": containers}}}}


def _shown(resources: Resources) -> str:
    told = [
        f"{kind} {', '.join(f'{key} {value}' for key, value in sorted(values.items()))}" for kind, values in resources.items() if values
    ]
    return "; ".join(told) or "none"


SET_RESOURCES = Operation(
    name="set_resources",
    description="""
Sets what one container of a Deployment, StatefulSet or DaemonSet asks for (requests) and the most it gets (limits).

**When to run:** when it is throttled, killed for its memory, or holds room it does not use.
**What it changes:** `resources` of that container in the pods' template, and so all pods are replaced, watched to the end. Refused where
Argo CD from Git, or an operator, would set it back (the plan names where to change it), where nodes, ResourceQuota or LimitRange have no
room for the new pods, where it uses more memory now than its new limit, and where none of the pods would be left meanwhile. With
`roll_back: true` it is taken back at the deadline.
**How to undo:** launch it with the amounts of before, which the run's page and its evidence tell, ready to be copied.
""",
    params=SetResources,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; with these resources in place nothing is changed.",
)
