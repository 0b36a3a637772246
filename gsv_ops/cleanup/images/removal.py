"""How images go: who needs them is asked anew before each Job that removes some, and the runtime is asked afterwards what is gone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gsv_ops.cleanup.images import observe, runtime, used
from gsv_ops.cleanup.images.observe import Image
from gsv_ops.kube.errors import KubeError
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal, Outcome, Result
from gsv_ops.operations.operation import Desk, OperationFailed, Verdict
from gsv_ops.operations.plan import Action, Plan

BEFORE = "bytes before"
"""The journal's and the results' key: by node, what the runtime counted before anything went."""
MOST_NAMED = 5


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Remove what the plan names, node by node, some at once. Raises ClusterMovedOn at the end if something was left alone.

    Raises KubeError, NotAsked, Frozen: then what was under way is told as unknown.
    """
    before: dict[str, int] = dict(journal.notes.get(BEFORE, {}))
    told, at_once = len(journal.outcomes), desk.spec.cleanup.images.at_once
    for node, actions in _by_node(plan).items():
        there = {image.id: image for image in runtime.images(desk, plan.operation, node)}
        before.setdefault(node, _bytes(there.values()))
        journal.note(**{BEFORE: before})
        for start in range(0, len(actions), at_once):
            require_not_frozen(desk, plan.operation)
            ready = _still_unneeded(desk, actions[start : start + at_once], there, journal)
            if ready:
                there = _removed(desk, plan.operation, node, ready, journal)
                desk.log(f"node {node}: {start + len(ready)} of {len(actions)} images")
    left = [outcome for outcome in journal.outcomes[told:] if outcome.result == "failed"]
    if left:
        named = "; ".join(f"{outcome.target} ({outcome.detail})" for outcome in left[:MOST_NAMED])
        more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
        raise ClusterMovedOn(f"no longer what the plan relied on, and left alone: {named}{more}. Plan again.")
    return {BEFORE: before}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when the runtimes, asked anew, have none of the images any more."""
    still, freed = [], 0
    for node, actions in _by_node(plan).items():
        images = {image.id: image for image in runtime.images(desk, plan.operation, node)}
        still += [str(action.target) for action in actions if action.target.uid in images]
        freed += int(results[BEFORE][node]) - _bytes(images.values())
    if still:
        return Verdict("bad", f"there still, or pulled again meanwhile: {', '.join(still[:MOST_NAMED])}; look at which pods came since")
    facts = {"images removed": len(plan.actions), "bytes freed, at most": freed, "kept": len(plan.kept)}
    if not plan.actions:
        return Verdict("good", f"nothing to remove, {len(plan.kept)} kept", facts, word="cleaned up")
    said = f"{len(plan.actions)} images are gone, and {freed} bytes of what the runtimes count; {len(plan.kept)} kept"
    return Verdict("good", said, facts, word="cleaned up")


def look(plan: Plan, run_id: str, results: Mapping[str, Any]) -> Sequence[str]:
    """The nodes, whose status.images follow their runtimes within some minutes, and the Jobs, which should be gone."""
    nodes = [f"kubectl get node {node} -o yaml" for node in _by_node(plan)]
    return [*nodes, f"kubectl get jobs.batch -A -l {runtime.OF_NODE}"]


def _by_node(plan: Plan) -> dict[str, list[Action]]:
    found: dict[str, list[Action]] = defaultdict(list)
    for action in plan.actions:
        found[action.target.namespace].append(action)
    return found


def _still_unneeded(desk: Desk, actions: Sequence[Action], there: Mapping[str, Image], journal: Journal) -> list[Action]:
    """Those that may go now; what became of the others is written down. Raises KubeError: then it is not known who needs what."""
    needed, keep = used.users(observe.need_images(desk.kube)), used.kept_by(desk.spec.cleanup.images)
    ready = []
    for action in actions:
        image = there.get(action.target.uid)
        if image is None:
            journal.outcome("delete", action.target, "already", "it is gone")
        elif moved := _moved(action, image) or used.why_kept(image.names, needed, keep, image.id, image.pinned):
            journal.outcome("delete", action.target, "failed", moved)
        else:
            ready.append(action)
    return ready


def _moved(action: Action, image: Image) -> str:
    names = sorted(image.names)
    return "" if names == list(action.guard["names"]) else f"its names were {action.guard['names']}, are {names}"


def _removed(desk: Desk, operation: str, node: str, actions: Sequence[Action], journal: Journal) -> dict[str, Image]:
    """Remove them; what is on the node afterwards, by id. What became of each is written down as the runtime tells it."""
    said = ""
    try:
        try:
            runtime.remove(desk, operation, node, [action.target.uid for action in actions])
        except runtime.NotAsked as problem:
            # some of them may be gone: the list below tells which
            said = str(problem)
            desk.log(said)
        there = {image.id: image for image in runtime.images(desk, operation, node)}
    except (KubeError, OperationFailed):
        _write(journal, actions, "unknown", "the node gave no answer to it")
        raise
    except Exception:
        raise
    except BaseException:  # a cancellation
        _write(journal, actions, "unknown", "the run was cancelled meanwhile")
        raise
    still = [action for action in actions if action.target.uid in there]
    _write(journal, [action for action in actions if action not in still], "done")
    _write(journal, still, "failed", f"the runtime did not remove it: {said or 'it gave no reason'}")
    return there


def _write(journal: Journal, actions: Sequence[Action], result: Result, detail: str = "") -> None:
    if actions:
        journal.outcomes_of([Outcome("delete", str(action.target), result, detail) for action in actions])


def _bytes(images: Iterable[Image]) -> int:
    return sum(image.bytes for image in images)
