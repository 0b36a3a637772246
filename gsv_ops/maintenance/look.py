"""What is looked at before pods are replaced or added, and what of it forbids that. Pure.

What would stop or hurt is a refusal; the rest is told beside the plan, where numbers may move without making it another plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import DAEMON_SET, DEPLOYMENT, STATEFUL_SET
from gsv_ops.maintenance import room
from gsv_ops.maintenance.availability import below_budgets, needs, of_workload, pace, wanted
from gsv_ops.maintenance.holders import Holder
from gsv_ops.maintenance.requests import Demand, beyond_ranges, demand, shown
from gsv_ops.maintenance.workload import Seen, target_of
from gsv_ops.operations.plan import Kept, Refused, Target

REVISION = "metadata.annotations.deployment.kubernetes.io/revision"
ACCEPT = "launch again with `accept_outage: true` if that is wanted"


@dataclass
class Look:
    """Refusals and remarks as they are found. The remarks are not part of the plan's identity."""

    target: Target
    refusals: list[str] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)

    def remark(self, text: str, body: Object | None = None) -> None:
        self.kept.append(Kept(target_of(body) if body else self.target, text))

    def held(self, found: Holder) -> None:
        """What who holds the field makes of it."""
        if found.refused:
            self.refusals.append(found.refused)
        for line in found.said:
            self.remark(line)

    @property
    def refused(self) -> tuple[Refused, ...]:
        return tuple(Refused(self.target, text) for text in self.refusals)


def settled(look: Look, seen: Seen, *, replaced: bool) -> None:
    """Whether the workload is at rest. With `replaced` its pods are to be replaced, which a paused one, or one that waits, does not do."""
    body = seen.workload
    if objects.deleting(body):
        look.refusals.append("it is being deleted")
    observed = int(at(body, "status", "observedGeneration", default=0))
    if observed < int(at(body, "metadata", "generation", default=0)):
        look.refusals.append("its controller has not seen its newest change yet: wait, and look whether kube-controller-manager runs")
    elif going := in_progress(body):
        look.refusals.append(f"a rollout is in progress ({going}): wait until it is complete") if replaced else look.remark(going)
    found = health.of(body)
    if found.status == "Degraded":
        look.remark(f"before: {found.reason}")
    ready = sum(1 for pod in seen.pods if health.of(pod).healthy)
    look.remark(f"before: {ready} of {wanted(body)} pods are ready")
    if not replaced:
        return
    if body["kind"] == DEPLOYMENT.kind and at(body, "spec", "paused"):
        look.refusals.append("its rollout is paused: nothing would happen until `kubectl rollout resume`")
    if body["kind"] != DEPLOYMENT.kind and at(body, "spec", "updateStrategy", "type") == "OnDelete":
        look.refusals.append("its updateStrategy is OnDelete: a pod is replaced only when somebody deletes it")
    if body["kind"] == STATEFUL_SET.kind and (first := at(body, "spec", "updateStrategy", "rollingUpdate", "partition", default=0)):
        look.refusals.append(f"its partition is {first}: only pods from that number on would be replaced")


def guard(seen: Seen) -> dict[str, Any]:
    """What a change of the template relies on: that nothing of its spec has changed; with an autoscaler, but for the replicas."""
    body = seen.workload
    found = {REVISION: objects.annotations(body).get(REVISION.removeprefix("metadata.annotations."))}
    found["status.updateRevision"] = at(body, "status", "updateRevision")
    return found if seen.autoscalers else {**found, "metadata.generation": at(body, "metadata", "generation")}


def in_progress(body: Object) -> str:
    """What of a rollout is still to be done; empty for one that is complete, its pods ready or not, and for one that is stuck."""
    count = wanted(body)
    if body["kind"] == DEPLOYMENT.kind:
        progressing = objects.condition(body, "Progressing")
        if progressing and progressing.reason == "ProgressDeadlineExceeded":
            return ""
        updated, every = (int(at(body, "status", key, default=0)) for key in ("updatedReplicas", "replicas"))
        return f"{updated} of {count} pods are new, {every} there are" if updated < count or every > updated else ""
    if body["kind"] == STATEFUL_SET.kind:
        current, update = (at(body, "status", key) for key in ("currentRevision", "updateRevision"))
        return f"revision {update} replaces {current}" if current != update else ""
    updated = int(at(body, "status", "updatedNumberScheduled", default=0))
    return f"{updated} of {count} pods are new" if updated < count else ""


def outage(look: Look, seen: Seen, accepted: bool) -> None:
    """Whether pods that serve are left while all are replaced, as many as the disruption budgets ask for."""
    count, going = wanted(seen.workload), pace(seen.workload)
    found = below_budgets(seen.budgets, seen.workload, going.lowest, count)
    if going.lowest == 0 and count:
        found.insert(0, f"no pod would be left at some moment ({going.how}): an outage")
    forbid(look, found, accepted)
    for budget in of_workload(seen.budgets, seen.workload):
        look.remark(f"asks for {needs(budget, count)} available pods; a rollout does not ask it, so the plan does", budget)
    template = at(seen.workload, "spec", "template", "spec", default={})
    for container in at(template, "containers", default=[]):
        name = container.get("name")
        if container.get("ports") and not container.get("readinessProbe"):
            look.remark(f"container {name} has no readinessProbe: it gets calls as soon as it starts, and some may fail")
        if container.get("ports") and not at(container, "lifecycle", "preStop"):
            look.remark(f"container {name} has no preStop hook: a call that reaches it while it is taken out of its Service may fail")


def forbid(look: Look, found: Sequence[str], accepted: bool) -> None:
    """A refusal for each, or a remark where the operator has accepted it."""
    for text in found:
        if accepted:
            look.remark(f"accepted: {text}")
        else:
            look.refusals.append(f"{text}; {ACCEPT}")


def replacement(look: Look, seen: Seen, spec: Object) -> None:
    """Whether there is room for all pods replaced by such of that spec, on the nodes and in the quotas, on the way and at the end."""
    old, new = demand(at(seen.workload, "spec", "template", "spec"), seen.ranges), demand(spec, seen.ranges)
    look.refusals += beyond_ranges(spec, seen.ranges)
    count, going = wanted(seen.workload), pace(seen.workload)
    now, then = room.quota_names(new, 1), room.quota_names(old, 1)
    peak = {
        key: max(going.surge * now.get(key, Decimal(0)), _grown(count, key, now, then) + going.surge * then.get(key, Decimal(0)))
        for key in {**now, **then}
    }
    look.refusals += room.over_quota(seen.quotas, spec, new, peak)
    own = {objects.uid(pod) for pod in seen.pods}
    if seen.workload["kind"] == DAEMON_SET.kind:
        _on_each_node(look, seen, new)
    else:
        free = room.free(seen.nodes, seen.everywhere)
        if going.surge and going.lowest == count and (why := room.no_room(spec, min(1, count), seen.nodes, free, new)):
            look.refusals.append(f"the first new pod would find no room, and no old one goes before it is ready: {why}")
        elif why := room.no_room(spec, count, seen.nodes, room.free(seen.nodes, seen.everywhere, own), new):
            look.refusals.append(why)
    _remarks(look, seen, new)


def addition(look: Look, seen: Seen, more: int) -> None:
    """Whether there is room for so many more pods of the workload."""
    spec = at(seen.workload, "spec", "template", "spec")
    asked = demand(spec, seen.ranges)
    look.refusals += beyond_ranges(spec, seen.ranges)
    look.refusals += room.over_quota(seen.quotas, spec, asked, room.quota_names(asked, more))
    if why := room.no_room(spec, more, seen.nodes, room.free(seen.nodes, seen.everywhere), asked):
        look.refusals.append(why)
    _remarks(look, seen, asked)


def _on_each_node(look: Look, seen: Seen, asked: Demand) -> None:
    """A DaemonSet's pod has to find room where the old one was."""
    free = room.free(seen.nodes, seen.everywhere, {objects.uid(pod) for pod in seen.pods})
    places = {str(at(pod, "spec", "nodeName", default="")) for pod in seen.pods}
    for node in seen.nodes:
        name = objects.name(node)
        if name in places and (why := room.short({**asked.requests, "pods": Decimal(1)}, free[name])):
            look.refusals.append(f"its pod would have no room on node {name}: {', '.join(why)}")


def _grown(count: int, key: str, now: dict[str, Decimal], then: dict[str, Decimal]) -> Decimal:
    return count * (now.get(key, Decimal(0)) - then.get(key, Decimal(0)))


def _remarks(look: Look, seen: Seen, asked: Demand) -> None:
    wants = ", ".join(f"{key} {shown(key, amount)}" for key, amount in sorted(asked.requests.items())) or "no cpu and no memory"
    look.remark(f"each of its pods asks for {wants}")
    for quota in seen.quotas:
        used = at(quota, "status", "used", default={})
        look.remark(
            "used: " + ", ".join(f"{key} {used.get(key)} of {most}" for key, most in at(quota, "status", "hard", default={}).items()), quota
        )
    free = room.free(seen.nodes, seen.everywhere)
    for node in seen.nodes[: room.MOST_NAMED]:
        left = free[objects.name(node)]
        look.remark("free: " + ", ".join(f"{key} {shown(key, left[key])}" for key in ("cpu", "memory", "pods") if key in left), node)
