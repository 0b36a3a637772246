"""rolling_restart: new pods in the place of the old ones, as the workload's strategy paces it, watched to the end."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance import look, rollout
from gsv_ops.maintenance.availability import pace, wanted
from gsv_ops.maintenance.holders import holder
from gsv_ops.maintenance.look import Look
from gsv_ops.maintenance.rollout import NOTHING, Change, Watched
from gsv_ops.maintenance.workload import Seen, observe, pods_of, resource_of
from gsv_ops.operations.apply import ROOT_RUN_LABEL
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Fact, Operation, PlanFrame, Timestamp, Verdict
from gsv_ops.operations.plan import Action, Plan
from gsv_ops.platform.spec import PlatformSpec

RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""What `kubectl rollout restart` writes: every other value of it is another template, and so other pods."""
ON_TEMPLATE = ("spec", "template", "metadata", "annotations")


class RollingRestart(Watched):
    """How much it may hurt."""

    accept_outage: bool = Field(default=False, description="Restart though no pod, or fewer than a disruption budget asks for, is left.")


def plan(spec: PlatformSpec, seen: Seen, params: RollingRestart, frame: PlanFrame, now: datetime) -> Plan:
    """One annotation of the pods' template, unless something forbids it."""
    body, found = seen.workload, Look(seen.target)
    look.settled(found, seen, replaced=True)
    found.held(holder(body, [(*ON_TEMPLATE, RESTARTED)], seen.tracking, "the template's annotations"))
    if wanted(body) == 0:
        found.refusals.append("it has no pods: it is scaled to zero" if "replicas" in body["spec"] else "no node should have its pod")
    else:
        look.outage(found, seen, params.accept_outage)
        look.replacement(found, seen, at(body, "spec", "template", "spec"))
    for scaler in seen.autoscalers:
        found.remark("sets its replicas meanwhile as before; a new pod's first load may let it add some", scaler)
    reason = f"{wanted(body)} pods are replaced: {pace(body).how}"
    action = Action(
        "patch", seen.target, reason, look.guard(seen), {"spec": {"template": {"metadata": {"annotations": {RESTARTED: "the time then"}}}}}
    )
    before = objects.annotations(at(body, "spec", "template", default={}))
    facts = {"restarted before": before.get(RESTARTED, "never"), "restarted by run": restarted_by(body) or "none of the desk's"}
    return frame.plan(
        actions=() if found.refusals else (action,), kept=tuple(found.kept), refused=found.refused, facts=facts, seen=1 + len(seen.pods)
    )


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Restart and watch. Raises OperationFailed with a reason for every pod that does not get ready."""
    if not plan.actions:
        return NOTHING
    (action,) = plan.actions
    at_time, by_run = plan.facts["restarted before"], plan.facts["restarted by run"]
    # exactly the template that the old pods have, or they would be replaced too
    before = {RESTARTED: None if at_time == "never" else at_time, ROOT_RUN_LABEL: None if " " in by_run else by_run}
    return rollout.roll(
        desk,
        plan,
        Change(
            action,
            body=_template({RESTARTED: desk.now().astimezone(UTC).isoformat(timespec="seconds"), ROOT_RUN_LABEL: desk.run_id}),
            back=_template(before),
            undone=lambda body: "" if restarted_by(body) == desk.run_id else "the restart's annotation is gone from its template",
            undo="nothing to take back: the new pods run what the old ones ran",
        ),
        journal,
    )


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when every pod is of this restart and ready, asked anew."""
    target = plan.actions[0].target
    body = desk.kube.get(resource_of(target), target.name, target.namespace)
    if restarted_by(body) != desk.run_id:
        return Verdict("bad", f"{target}: the restart was undone, or followed by another change")
    left, _ = rollout.unfinished(body)
    pods = [pod for pod in pods_of(desk, body) if not objects.deleting(pod)]
    old = [objects.name(pod) for pod in pods if restarted_by({"spec": {"template": pod}}) != desk.run_id]
    if left or old:
        return Verdict("bad", f"{target}: {left or 'old pods are left: ' + ', '.join(old)}")
    if len(pods) < wanted(body):
        return Verdict("bad", f"{target}: {len(pods)} new pods were found, expected {wanted(body)}")
    facts: dict[str, Fact] = {
        "pods": len(pods),
        "ready": sum(1 for pod in pods if health.of(pod).healthy),
        "seconds": float(results["seconds"]),
        "fewest available pods seen": int(results["least_available"]),
        "restarted at": Timestamp(objects.parse_time(objects.annotations(body["spec"]["template"])[RESTARTED])),
        "undo": str(results["undo"]),
    }
    return Verdict("good", f"{target}: {len(pods)} new pods are ready after {results['seconds']} s", facts, word="restarted")


def restarted_by(body: Object) -> str:
    """The run whose restart the workload's template is of; empty for none."""
    return objects.annotations(at(body, "spec", "template", default={})).get(ROOT_RUN_LABEL, "")


def _template(annotations: Mapping[str, str | None]) -> Mapping[str, Any]:
    return {"spec": {"template": {"metadata": {"annotations": dict(annotations)}}}}


ROLLING_RESTART = Operation(
    name="rolling_restart",
    description="""
Replaces every pod of a Deployment, StatefulSet or DaemonSet by a new one that runs the same, as the workload's own strategy paces it.

**When to run:** when pods are to start anew: one that hangs, a Secret or ConfigMap that is read only at the start.
**What it changes:** one annotation of the pods' template, as `kubectl rollout restart` does, and so all pods. Refused where none would be
left meanwhile, fewer than a PodDisruptionBudget asks for, or where new pods would find no room; the plan says what else may go wrong. The
rollout is watched, with the reason for every pod that does not get ready; with `roll_back: true` it is taken back at the deadline.
**How to undo:** nothing to undo: the new pods run what the old ones ran.
""",
    params=RollingRestart,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; while this restart's rollout is going on, another one is refused.",
    # no pool: an emergency must not wait behind another workload's rollout, and of two on one workload the guard refuses the second
)
