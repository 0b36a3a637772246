"""The guarded apply: every write re-reads its object, compares it with what the plan relied on, and is conditional on what was just read.

Two runs, or a run and a human, cannot harm each other: whoever comes second finds that the object moved and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.protocol import Object, PatchType, Resource
from gsv_ops.operations import sealed
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan, Target, named
from gsv_ops.operations.undo import Bundles

ROOT_RUN_LABEL = "gsv-ops/run"
OPERATION_LABEL = "gsv-ops/operation"
EXPIRES_ANNOTATION = "gsv-ops/expires"
AWAY_SECONDS = 2.0
"""Between two tries to take something down while the API server is away."""


class ClusterMovedOn(OperationFailed):
    """The object is no longer what the plan relied on; nothing was written to it."""


def apply_plan(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Carry out the plan's actions in order, each guarded. The default `execute` of an operation. A freeze stops it at the next one."""
    for number, action in enumerate(plan.actions):
        if number:
            require_not_frozen(desk, plan.operation)
        match action.verb:
            case "create":
                create(desk, action, journal)
            case "delete":
                delete(desk, action, journal)
            case "patch":
                patch(desk, action, journal)
    return {}


def create(desk: Desk, action: Action, journal: Journal, lifetime: timedelta | None = None) -> Object:
    """Make the object, or adopt the one this root run made before. Raises ClusterMovedOn if the name is another's.

    `lifetime`: the object is scratch; it says when the sweeper may remove it.
    """
    target = action.target.for_run(desk.run_id)
    body = marked(_for_run(action.body or {}, desk.run_id), target, journal)
    if lifetime is not None:
        body["metadata"]["annotations"] = {
            **body["metadata"].get("annotations", {}),
            EXPIRES_ANNOTATION: (desk.now() + lifetime).isoformat(),
        }
    resource = resources.of(body)
    found = find(desk, resource, target)
    made = False
    if found is None:
        journal.will_make(target)
        try:
            with answered("create", target, journal):
                found = desk.kube.create(sealed.opened(desk.kube, body))
            made = True
        except errors.AlreadyExists:
            found = desk.kube.get(resource, target.name, target.namespace or None)
    if not is_ours(found, journal):
        journal.outcome("create", target, "failed", "the name belongs to another object")
        raise ClusterMovedOn(
            f"{target} exists and was not made by this run; nothing was changed. Expected the name to be free. "
            f"Look at it, and delete or rename it if it is not needed.",
            f"kubectl get {resource.qualified} {target.name} -n {target.namespace} -o yaml",
        )
    if objects.deleting(found):
        journal.outcome("create", target, "failed", "what this run had made before is still being taken down")
        raise OperationFailed(f"{target} was made by this run before and is still being taken down; run it again when it is gone.")
    journal.made(target, objects.uid(found))
    if made:
        journal.outcome("create", target, "done")
    else:
        journal.outcome("create", target, "already", "this run had made it before")
    return found


def delete(desk: Desk, action: Action, journal: Journal) -> None:
    """Delete exactly the object that was planned; an object that is already gone is fine, another under its name is not."""
    target = action.target
    resource = _resource(target)
    found = find(desk, resource, target)
    if found is None:
        journal.outcome("delete", target, "already", "it is gone")
        return
    _check_guard(action, found, journal)
    keep_first(desk, journal, [found])
    try:
        with answered("delete", target, journal):
            desk.kube.delete(
                resource,
                target.name,
                target.namespace or None,
                uid=target.uid,
                resource_version=found["metadata"]["resourceVersion"],
            )
    except errors.NotFound:
        journal.outcome("delete", target, "already", "it is gone")
    except errors.Conflict:
        journal.outcome("delete", target, "failed", "it changed in the moment of the deletion")
        raise ClusterMovedOn(f"{target} changed in the moment of its deletion; it was left alone. Plan again.") from None
    else:
        journal.outcome("delete", target, "done")


def keep_first(desk: Desk, journal: Journal, bodies: Sequence[Object]) -> None:
    """Where the operation keeps undo, write what is about to be deleted to a bundle. Raises NoBundle: then it must not be deleted."""
    if desk.keeps_undo and bodies:
        bundles = desk.bundles or Bundles(None, timedelta())
        where = bundles.write(journal.root_run_id, journal.operation, bodies, desk.now())
        # from here on the work has begun: run again after it was killed, the run goes on with it
        journal.note(bundles=[*journal.notes.get("bundles", []), where.name])
        desk.log(f"{len(bodies)} objects can be put back: launch undo with run {journal.root_run_id}, or read the head of {where}")


def patch(
    desk: Desk,
    action: Action,
    journal: Journal,
    kind: PatchType = "merge",
    told: str = "patch",
    *,
    subresource: str = "",
    body: Callable[[Object], Mapping[str, Any]] | None = None,
) -> Object:
    """Patch exactly the object that was planned, if it is still what the plan relied on. `told`: what the journal calls it.

    `body` makes the patch from the object as it is now, where it has what a plan cannot hold: a time, or a list that is replaced whole.
    """
    target = action.target
    resource = _resource(target)
    found = find(desk, resource, target)
    if found is None:
        journal.outcome(told, target, "failed", "it is gone")
        raise ClusterMovedOn(f"{target} is gone; there is nothing to change. Plan again.")
    _check_guard(action, found, journal)
    wanted = body(found) if body else action.body or {}
    precondition = {"uid": target.uid, "resourceVersion": found["metadata"]["resourceVersion"]}
    written = {**wanted, "metadata": {**wanted.get("metadata", {}), **precondition}}
    try:
        with answered(told, target, journal):
            changed = desk.kube.patch(resource, target.name, target.namespace or None, written, kind=kind, subresource=subresource)
    except (errors.Conflict, errors.NotFound):
        journal.outcome(told, target, "failed", "it changed in the moment of the change")
        raise ClusterMovedOn(f"{target} changed in the moment of the change; it was left alone. Plan again.") from None
    journal.outcome(told, target, "done")
    return changed


def find(desk: Desk, resource: Resource, target: Target) -> Object | None:
    """The object under the target's name, or None."""
    try:
        return desk.kube.get(resource, target.name, target.namespace or None)
    except errors.NotFound:
        return None


def marked(body: Mapping[str, Any], target: Target, journal: Journal) -> Object:
    """The manifest under the target's name, with the labels that say which root run and operation made it."""
    metadata = dict(body.get("metadata", {}))
    labels = {**metadata.get("labels", {}), ROOT_RUN_LABEL: journal.root_run_id, OPERATION_LABEL: journal.operation}
    metadata |= {"name": target.name, "labels": labels}
    if target.namespace:
        metadata["namespace"] = target.namespace
    return {**body, "metadata": metadata}


def is_ours(found: Object, journal: Journal) -> bool:
    """Whether the object was made by this root run."""
    labels = found["metadata"].get("labels") or {}
    return bool(labels.get(ROOT_RUN_LABEL) == journal.root_run_id)


def release_made(desk: Desk, journal: Journal, seconds: float) -> list[str]:
    """Take down what the journal says was made, newest first, and wait until it is gone; returns what is still there after `seconds`.

    Only objects that carry this run's label are touched: whatever else stands under such a name is not ours. What was made before something
    that is still there stays too, since it may be what shuts it off.
    """
    deadline = desk.monotonic() + seconds
    left: list[str] = []
    for target in reversed(journal.targets()):
        if left:
            left.append(f"{target}: kept for what is still there")
            continue
        if problem := _taken_down_by(desk, target, journal, deadline):
            left.append(f"{target}: {problem}")
    return left


def guard_value(found: Object, path: str) -> Any:
    """The value at a guard's path (`status.phase`, `metadata.labels.cnpg.io/cluster`); None where there is none."""
    value: Any = found
    steps = path.split(".")
    while steps and isinstance(value, dict):
        # a label's key may hold dots itself: the longest key that is there is meant
        length = next((n for n in range(len(steps), 0, -1) if ".".join(steps[:n]) in value), len(steps))
        value, steps = value.get(".".join(steps[:length])), steps[length:]
    return None if steps else value


def moved_on(action: Action, found: Object) -> str:
    """What of the object is no longer as the plan relied on; empty if it is the same object and everything is."""
    moved = []
    if found["metadata"]["uid"] != action.target.uid:
        moved.append(f"uid was {action.target.uid}, is {found['metadata']['uid']}")
    for path, expected in action.guard.items():
        actual = guard_value(found, path)
        if actual != expected:
            moved.append(f"{path} was {expected!r}, is {actual!r}")
    return "; ".join(moved)


def _check_guard(action: Action, found: Object, journal: Journal) -> None:
    if moved := moved_on(action, found):
        journal.outcome(action.verb, action.target, "failed", moved)
        raise ClusterMovedOn(f"{action.target} is no longer what the plan relied on ({moved}); it was left alone. Plan again.")


@contextmanager
def answered(verb: str, target: Target, journal: Journal) -> Iterator[None]:
    """Within it, a write whose answer never came is written down as unknown: it may have been done."""
    try:
        yield
    except (errors.Unavailable, errors.UnexpectedResponse):
        journal.outcome(verb, target, "unknown", "the API server gave no answer to it")
        raise
    except Exception:
        raise
    except BaseException:  # a cancellation
        journal.outcome(verb, target, "unknown", "the run was cancelled in the moment of the write")
        raise


def _taken_down_by(desk: Desk, target: Target, journal: Journal, deadline: float) -> str:
    """Take it down; why it is still there at the deadline. An API server that is away may be back in time."""
    while True:
        try:
            _take_down(desk, target, journal, max(1.0, deadline - desk.monotonic()))
        except errors.Unavailable as problem:
            if desk.monotonic() >= deadline:
                return str(problem)
            desk.sleep(AWAY_SECONDS)
        except errors.KubeError as problem:
            return str(problem)
        else:
            return ""


def _take_down(desk: Desk, target: Target, journal: Journal, seconds: float) -> None:
    resource = _resource(target)
    found = find(desk, resource, target)
    if found is None or not is_ours(found, journal):
        return
    uid = objects.uid(found)
    try:
        desk.kube.delete(resource, target.name, target.namespace or None, uid=uid, propagation="Foreground")
        desk.kube.wait(
            resource, target.name, target.namespace or None, partial(_is_gone, uid), timeout=seconds, what=f"{target} to be gone"
        )
    except (errors.NotFound, errors.Conflict):
        pass  # it is gone, or its name belongs to another object by now
    desk.log(f"{target} is gone")


def _is_gone(uid: str, body: Object | None) -> bool | None:
    return True if body is None or body["metadata"]["uid"] != uid else None


def _for_run(value: Any, run_id: str) -> Any:
    if isinstance(value, str):
        return named(value, run_id)
    if isinstance(value, Mapping):
        return {named(key, run_id): _for_run(item, run_id) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_for_run(item, run_id) for item in value]
    return value


def _resource(target: Target) -> Resource:
    return resources.of({"apiVersion": target.api_version, "kind": target.kind})
