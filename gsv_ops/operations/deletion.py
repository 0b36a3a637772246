"""Many guarded deletions at once: read together, kept in one undo bundle, then deleted, batch by batch.

What moved on since the plan is left alone and holds up no other; what nobody can answer for ends the run after the writes under way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal, Outcome
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.plan import Action, Plan

BATCH = 200
WORKERS = 8
"""No more than that many requests at once: the API server sheds load for everybody when it has too much of it."""
MOST_NAMED = 5

T = TypeVar("T")
Read = Object | Outcome | errors.KubeError


def delete_all(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Carry out a plan that only deletes. Raises ClusterMovedOn at the end if something was left alone, KubeError, NoBundle, Frozen."""
    moved: list[Outcome] = []
    with _Workers() as workers:
        for start in range(0, len(plan.actions), BATCH):
            if start:
                require_not_frozen(desk, plan.operation)
            moved += _batch(desk, plan.actions[start : start + BATCH], journal, workers)
            desk.log(f"{min(start + BATCH, len(plan.actions))} of {len(plan.actions)} deletions are done")
    if moved:
        named = "; ".join(f"{outcome.target} ({outcome.detail})" for outcome in moved[:MOST_NAMED])
        more = f" and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
        raise ClusterMovedOn(f"no longer what the plan relied on, and left alone: {named}{more}. Plan again.")
    return {}


class _Workers:
    """A few threads; when the run is interrupted, what has not begun does not begin."""

    def __enter__(self) -> _Workers:
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="delete")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def each(self, do: Callable[[Any], T], items: Iterable[Any], done: list[T]) -> None:
        """Call it with every item and put the results into `done`, in the order of the items, also if the run is interrupted.

        The threads write down what they did, since an interruption may come at any moment of the run's own.
        """
        results: dict[int, T] = {}

        def one(number: int, item: Any) -> None:
            results[number] = do(item)

        try:
            for future in [self._pool.submit(one, number, item) for number, item in enumerate(items)]:
                future.result()
        except BaseException:
            self._pool.shutdown(wait=True, cancel_futures=True)
            raise
        finally:
            done += [results[number] for number in sorted(results)]


def _batch(desk: Desk, actions: Sequence[Action], journal: Journal, workers: _Workers) -> list[Outcome]:
    """Delete the batch; returns what was left alone."""
    read: list[Read] = []
    workers.each(lambda action: _read(desk, action), actions, read)
    settled = [found for found in read if isinstance(found, Outcome)]
    journal.outcomes_of(settled)
    _raise_first(read)
    here = [(action, found) for action, found in zip(actions, read, strict=True) if isinstance(found, dict)]
    apply.keep_first(desk, journal, [found for _, found in here])
    written: list[tuple[Outcome, errors.KubeError | None]] = []
    try:
        workers.each(lambda pair: _delete(desk, *pair), here, written)
    finally:
        journal.outcomes_of([outcome for outcome, _ in written])
    _raise_first([problem for _, problem in written])
    return [outcome for outcome in (*settled, *(outcome for outcome, _ in written)) if outcome.result == "failed"]


def _read(desk: Desk, action: Action) -> Read:
    """The object if it is still what the plan relied on, else what became of the action."""
    target = action.target
    try:
        found = apply.find(desk, resources.of({"apiVersion": target.api_version, "kind": target.kind}), target)
    except errors.KubeError as problem:
        return problem
    if found is None:
        return Outcome("delete", str(target), "already", "it is gone")
    if moved := apply.moved_on(action, found):
        return Outcome("delete", str(target), "failed", moved)
    return found


def _delete(desk: Desk, action: Action, found: Object) -> tuple[Outcome, errors.KubeError | None]:
    """Delete exactly what was read, and with it in the background what it owns."""
    target = action.target
    said = str(target)
    try:
        desk.kube.delete(
            resources.of(found),
            target.name,
            target.namespace or None,
            uid=target.uid,
            resource_version=objects.resource_version(found),
            propagation="Background",
        )
    except errors.NotFound:
        return Outcome("delete", said, "already", "it is gone"), None
    except errors.Conflict:
        return Outcome("delete", said, "failed", "it changed in the moment of the deletion"), None
    except (errors.Unavailable, errors.UnexpectedResponse) as problem:
        return Outcome("delete", said, "unknown", "the API server gave no answer to it"), problem
    except errors.KubeError as problem:
        return Outcome("delete", said, "failed", str(problem)), problem
    return Outcome("delete", said, "done"), None


def _raise_first(found: Iterable[object]) -> None:
    for problem in found:
        if isinstance(problem, errors.KubeError):
            raise problem
