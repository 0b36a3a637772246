"""Writes a change to a workload, watches its rollout, and says of every pod that does not become ready why; puts it back if asked.

The watch is one watch. At its deadline, or when the controller itself gives up, the change stays, or is put back where it is still ours.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field

from gsv_ops.kube import health, objects
from gsv_ops.kube.errors import KubeError, NotFound, WaitTimeout
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object, PatchType
from gsv_ops.kube.resources import POD, STATEFUL_SET
from gsv_ops.maintenance import not_ready
from gsv_ops.maintenance.availability import wanted
from gsv_ops.maintenance.workload import OfWorkload, pods_of, resource_of, target_of
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan, Target

MOST_TRIES = 5
HASHES = ("pod-template-hash", "controller-revision-hash")
NOTHING: Mapping[str, Any] = {"seconds": 0.0, "pods": 0, "least_available": 0, "undo": "nothing was changed"}


class Watched(OfWorkload):
    """How its rollout is watched."""

    roll_back: bool = Field(default=False, description="Put back what was before if its pods are not ready in time.")
    seconds: int = Field(
        default=0, ge=0, le=14400, description="How long its rollout may take. 0: rollouts.watch_seconds of platform.yaml."
    )


@dataclass(frozen=True)
class Change:
    """One write and its way back.

    `body` is what is written, `back` what was before; `undone` says of the object how the change is not in it any more (empty: it is).
    `undo` is what an operator launches to take it back.
    """

    action: Action
    body: Mapping[str, Any]
    back: Mapping[str, Any]
    undone: Callable[[Object], str]
    undo: str
    kind: PatchType = "merge"


class Stuck(Exception):
    """The rollout will not complete, or was not complete in time; the message says what is missing."""


def roll(desk: Desk, plan: Plan, change: Change, journal: Journal) -> Mapping[str, Any]:
    """Write it and watch; the results. Raises OperationFailed with a reason for every pod that is not ready."""
    target, limits = change.action.target, desk.spec.rollouts
    began = desk.monotonic()
    changed = _write(desk, change, journal)
    desk.log(f"{target} is changed; its rollout is watched. To take it back: {change.undo}")
    least = [wanted(changed)]
    try:
        done = watched(desk, changed, change.undone, float(plan.params["seconds"] or limits.watch_seconds), least)
    except Stuck as problem:
        why = "\n  ".join([f"{target}: {problem}", *_reasons(desk, changed)])
        if not plan.params["roll_back"]:
            raise OperationFailed(f"{why}\nIt was left as it is. To take it back: {change.undo}", _look(target)) from None
        raise OperationFailed(f"{why}\n{_put_back(desk, change, changed, journal)}", _look(target)) from None
    return {
        "seconds": round(desk.monotonic() - began, 1),
        "pods": wanted(done),
        "least_available": least[0],
        "undo": change.undo,
    }


def watched(desk: Desk, changed: Object, undone: Callable[[Object], str], seconds: float, least: list[int]) -> Object:
    """The workload once its rollout is complete. `least` keeps the fewest available pods that were seen. Raises Stuck, OperationFailed."""
    resource, name, namespace = resource_of(target_of(changed)), objects.name(changed), objects.namespace(changed)
    deadline = desk.monotonic() + seconds
    told: set[str] = set()

    def until(body: Object | None) -> Object | None:
        if body is None or objects.uid(body) != objects.uid(changed) or objects.deleting(body):
            raise OperationFailed(f"{target_of(changed)} was deleted while its rollout was watched")
        if why := undone(body):
            raise OperationFailed(
                f"{target_of(changed)} was changed by somebody else while its rollout was watched: {why}", _look(target_of(body))
            )
        left, lost = unfinished(body)
        if left and left not in told:
            told.add(left)
            desk.log(f"{name}: {left}")
        least[0] = min(least[0], _available(body))
        if lost:
            raise Stuck(left)
        return None if left else body

    while True:
        remaining = deadline - desk.monotonic()
        slice_ = max(0.1, min(float(desk.spec.rollouts.tell_seconds), remaining))
        try:
            return desk.kube.wait(resource, name, namespace, until, timeout=slice_, what="its rollout to be complete")
        except WaitTimeout as problem:
            if desk.monotonic() >= deadline:
                raise Stuck(f"its rollout was not complete within {seconds:g} s: {_left(desk, changed) or problem}") from None
        for line in _reasons(desk, changed):
            if line not in told:
                told.add(line)
                desk.log(line)


def unfinished(body: Object) -> tuple[str, bool]:
    """(what of the rollout is left, empty if nothing; whether the controller has given up)."""
    found = health.of(body)
    if found.status == "Degraded":
        # a quota or a webhook may yet let its pods be made; past its own deadline it does not go on
        return found.reason, "ProgressDeadlineExceeded" in found.reason
    if found.status not in ("Healthy", "Suspended"):
        return found.reason, False
    count, there = wanted(body), int(at(body, "status", "replicas", default=wanted(body)))
    if there != count:
        return f"{there} pods there, {count} are wanted", False
    # a paused Deployment is scaled all the same, and says nothing of it
    return ("" if _available(body) >= count else f"{_available(body)} of {count} pods are available"), False


def _write(desk: Desk, change: Change, journal: Journal) -> Object:
    target = change.action.target
    if journal.begun:
        found = apply.find(desk, resource_of(target), target)
        if found is not None and objects.uid(found) == target.uid and not change.undone(found):
            journal.outcome("patch", target, "already", "this run had changed it before")
            return found
    journal.note(began=desk.now().isoformat())
    return apply.patch(desk, replace(change.action, body=change.body), journal, change.kind)


def _put_back(desk: Desk, change: Change, changed: Object, journal: Journal) -> str:
    """Write back what was before, where the workload is still as this run left it; what became of it."""
    target = change.action.target
    try:
        before = _written_back(desk, change, changed, journal)
    except (KubeError, OperationFailed) as problem:
        return f"It could NOT be rolled back: {problem} To take it back: {change.undo}"
    desk.log(f"{target} is put back as it was")
    _drop_broken(desk, changed, before)
    seconds = float(desk.spec.rollouts.back_seconds)
    try:
        watched(desk, before, lambda _: "", seconds, [0])
    except (Stuck, KubeError, OperationFailed) as problem:
        return f"It was rolled back, and is not well yet: {problem}"
    return "It was rolled back: it is as it was before this run, and all its pods are ready."


def _written_back(desk: Desk, change: Change, changed: Object, journal: Journal) -> Object:
    target = change.action.target
    for number in range(MOST_TRIES):
        found = apply.find(desk, resource_of(target), target)
        if found is None or _asked(found) != _asked(changed) or change.undone(found):
            raise ClusterMovedOn("somebody else changed it meanwhile, and that was left alone.")
        # its status moves all the time; its generation only when what was just compared does
        guard = {"metadata.generation": at(found, "metadata", "generation")}
        try:
            return apply.patch(desk, Action("patch", target, "roll back", guard, change.back), journal, change.kind, "roll back")
        except ClusterMovedOn:
            if number == MOST_TRIES - 1:
                raise
            desk.sleep(0.5)
    raise AssertionError


def _drop_broken(desk: Desk, changed: Object, before: Object) -> None:
    """A StatefulSet waits for a pod that never gets ready before it replaces it: what the change left so is deleted."""
    if changed["kind"] != STATEFUL_SET.kind:
        return
    found = desk.kube.get(STATEFUL_SET, objects.name(changed), objects.namespace(changed))
    good = at(found, "status", "currentRevision")
    for pod in pods_of(desk, before):
        if health.of(pod).healthy or objects.deleting(pod) or objects.labels(pod).get(HASHES[1]) == good:
            continue
        try:
            desk.kube.delete(POD, objects.name(pod), objects.namespace(pod), uid=objects.uid(pod))
            desk.log(f"pod {objects.name(pod)} of the change is deleted, so that its place is filled as before")
        except NotFound:
            continue


def _left(desk: Desk, changed: Object) -> str:
    try:
        return unfinished(desk.kube.get(resource_of(target_of(changed)), objects.name(changed), objects.namespace(changed)))[0]
    except KubeError as problem:
        return str(problem)


def _reasons(desk: Desk, changed: Object) -> list[str]:
    try:
        now = desk.kube.get(resource_of(target_of(changed)), objects.name(changed), objects.namespace(changed))
        return not_ready.reasons(desk.kube, now, pods_of(desk, now), desk.spec.rollouts.log_lines)
    except KubeError as problem:
        return [f"why its pods are not ready could not be read: {problem}"]


def _asked(body: Object) -> tuple[Any, Any]:
    """What this run's change and a rollback are about."""
    return at(body, "spec", "template"), at(body, "spec", "paused")


def _available(body: Object) -> int:
    return int(at(body, "status", "availableReplicas") or at(body, "status", "numberAvailable", default=0))


def _look(target: Target) -> str:
    resource = resource_of(target)
    return f"kubectl describe {resource.plural} {target.name} -n {target.namespace}"
