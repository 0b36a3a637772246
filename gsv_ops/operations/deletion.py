"""Many guarded deletions at once: read together, kept in one undo bundle, then deleted, batch by batch.

What moved on since the plan is left alone and holds up no other; what nobody can answer for ends the run after the writes under way.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal, Outcome
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.plan import Action, Plan, Target

BATCH = 500
"""So many are read, kept, deleted and written down together, some seconds' work; between two of them a freeze stops the run."""
WORKERS = 8
"""No more than that many requests at once: the API server sheds load for everybody when it has too much of it."""
LISTED = 5000
"""For so many at most one list serves: what it read is then some seconds old, and whatever changed meanwhile the precondition spares."""
LIST_FROM = 100
LIST_SHARE = 10
"""A list is cheaper than reading one by one, if at least LIST_FROM, and one in LIST_SHARE of what was seen, are of one namespace."""
MOST_NAMED = 5

T = TypeVar("T")
R = TypeVar("R")
Read = Object | Outcome | errors.KubeError
Written = tuple[Outcome, errors.KubeError | None]


def delete_all(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Carry out a plan that only deletes. Raises ClusterMovedOn at the end if something was left alone, KubeError, NoBundle, Frozen.

    While one batch is being deleted, the next is read and kept.
    """
    moved: list[Outcome] = []
    listed: dict[str, Object] = {}
    with _Workers(desk, journal) as workers:
        for start in range(0, len(plan.actions), BATCH):
            if start % max(BATCH, LISTED) == 0:
                listed = _listed(desk, plan.actions[start : start + max(BATCH, LISTED)], plan.seen)
            settled, ready = _kept(desk, plan.actions[start : start + BATCH], listed, journal, workers)
            moved += [outcome for outcome in settled if outcome.result == "failed"]
            if start:
                moved += workers.ended()
                desk.log(f"{start} of {len(plan.actions)} deletions are done")
                require_not_frozen(desk, plan.operation)
            workers.begin(ready)
        moved += workers.ended()
    if moved:
        named = "; ".join(f"{outcome.target} ({outcome.detail})" for outcome in moved[:MOST_NAMED])
        more = f" and {len(moved) - MOST_NAMED} more" if len(moved) > MOST_NAMED else ""
        raise ClusterMovedOn(f"no longer what the plan relied on, and left alone: {named}{more}. Plan again.")
    return {}


class _Workers:
    """A few threads that read and delete. When the run is interrupted, what has not begun does not begin; what was done is written down."""

    def __init__(self, desk: Desk, journal: Journal) -> None:
        self._desk, self._journal = desk, journal
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="delete")
        self._deletions: list[Future[None]] = []
        # by the threads themselves, since an interruption may come at any moment of the run's own
        self._written: dict[int, Written] = {}

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # an interruption is no Exception
        self._pool.shutdown(wait=True, cancel_futures=kind is not None and not issubclass(kind, Exception))
        self._write_down()

    def each(self, do: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Call it with every item; the results in the order of the items."""
        return [future.result() for future in [self._pool.submit(do, item) for item in items]]

    def begin(self, ready: Iterable[tuple[Action, Object]]) -> None:
        """Delete these; `ended` waits for it."""
        self._deletions = [self._pool.submit(self._one, number, *pair) for number, pair in enumerate(ready)]

    def ended(self) -> list[Outcome]:
        """What was left alone, once all that begun is done and written down. Raises KubeError for what nobody can answer for."""
        for future in self._deletions:
            future.result()
        written = self._write_down()
        for _, problem in written:
            if problem is not None:
                raise problem
        return [outcome for outcome, _ in written if outcome.result == "failed"]

    def _one(self, number: int, action: Action, found: Object) -> None:
        self._written[number] = _delete(self._desk, action, found)

    def _write_down(self) -> list[Written]:
        written = [self._written[number] for number in sorted(self._written)]
        if written:
            self._journal.outcomes_of([outcome for outcome, _ in written])
        self._written = {}
        return written


def _listed(desk: Desk, actions: Sequence[Action], seen: int) -> dict[str, Object]:
    """What is to be deleted, by its uid, where one list reads it cheaper than many reads."""
    groups: dict[tuple[Resource, str], set[str]] = defaultdict(set)
    for target in (action.target for action in actions):
        groups[_resource(target), target.namespace].add(target.uid)
    found = {}
    for (resource, namespace), uids in groups.items():
        if len(uids) >= LIST_FROM and len(uids) * LIST_SHARE >= seen:
            kinds = {"apiVersion": resource.api_version, "kind": resource.kind}
            bodies = desk.kube.list(resource, namespace or None)
            found.update({uid: {**kinds, **body} for body in bodies if (uid := objects.uid(body)) in uids})
    return found


def _kept(
    desk: Desk, actions: Sequence[Action], listed: Mapping[str, Object], journal: Journal, workers: _Workers
) -> tuple[list[Outcome], list[tuple[Action, Object]]]:
    """Read the batch, and keep what is to be deleted; returns what became of the others, and what is to be deleted as it was read."""
    read = workers.each(lambda action: _read(desk, action, listed), actions)
    settled = [found for found in read if isinstance(found, Outcome)]
    if settled:
        journal.outcomes_of(settled)
    for found in read:
        if isinstance(found, errors.KubeError):
            raise found
    ready = [(action, found) for action, found in zip(actions, read, strict=True) if isinstance(found, dict)]
    apply.keep_first(desk, journal, [found for _, found in ready])
    return settled, ready


def _read(desk: Desk, action: Action, listed: Mapping[str, Object]) -> Read:
    """The object if it is still what the plan relied on, else what became of the action."""
    target = action.target
    found = listed.get(target.uid)
    if found is None:
        try:
            found = apply.find(desk, _resource(target), target)
        except errors.KubeError as problem:
            return problem
    if found is None:
        return Outcome("delete", str(target), "already", "it is gone")
    if moved := apply.moved_on(action, found):
        return Outcome("delete", str(target), "failed", moved)
    return found


def _delete(desk: Desk, action: Action, found: Object) -> Written:
    """Delete exactly what was read, and with it in the background what it owns."""
    target = action.target
    said = str(target)
    try:
        desk.kube.delete(
            _resource(target),
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


def _resource(target: Target) -> Resource:
    return resources.of({"apiVersion": target.api_version, "kind": target.kind})
