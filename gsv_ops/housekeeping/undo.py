"""undo: puts back what a run deleted, from the bundles it wrote before it did."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.kube.resources import NAMESPACE
from gsv_ops.operations import apply, undo
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Operation, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan, Refused, Target
from gsv_ops.operations.undo import UNDO_VARIABLE, Bundle, NoBundle
from gsv_ops.platform.spec import PlatformSpec

OWNERS = "owners that live"
"""Not a path into the object, which does not exist: the uids that it would be given back to."""
FREEZE_EVERY = 50


class Undo(Params):
    """Whose deletions."""

    run: str = Field(default="", description="The run that deleted: its id, or the first 8 digits, as its page and the run list show it.")

    @model_validator(mode="after")
    def _said(self) -> Self:
        if not re.fullmatch(r"[0-9A-Za-z-]{8,64}", self.run):
            raise ValueError(f"run is {self.run!r}; expected the id of the run that deleted, or its first 8 digits")
        return self


@dataclass(frozen=True)
class Found:
    """One object of a bundle, and what stands in its place now."""

    target: Target
    was: str
    owners: tuple[Mapping[str, Any], ...]
    living: tuple[str, ...]
    now: str
    has_namespace: bool


@dataclass(frozen=True)
class Snapshot:
    """The run's bundles, by path and digest, and what of them is there."""

    run_id: str
    bundles: Mapping[str, str]
    found: tuple[Found, ...]


class _Cluster:
    """What stands in the cluster, listed once for each kind and namespace."""

    def __init__(self, desk: Desk) -> None:
        self._kube = desk.kube
        self._listed: dict[tuple[Resource, str], dict[str, Object]] = {}

    def uid(self, target: Target) -> str:
        """The uid of what has that name now, if it is going too; empty for none, and for a kind that the desk does not know."""
        body = self._find(target)
        return objects.uid(body) if body else ""

    def stays(self, target: Target) -> str:
        """As `uid`, but empty too for what is going."""
        body = self._find(target)
        return "" if body is None or objects.deleting(body) else objects.uid(body)

    def living(self, owners: Iterable[Mapping[str, Any]], namespace: str) -> tuple[str, ...]:
        """The uids of the owners that still live."""
        return tuple(str(o["uid"]) for o in owners if self.stays(_owner(o, namespace)) == o["uid"])

    def _find(self, target: Target) -> Object | None:
        resource = resources.BY_KIND.get((target.api_version, target.kind))
        if resource is None:
            return None
        key = (resource, target.namespace)
        if key not in self._listed:
            found = self._kube.list(resource, target.namespace or None, metadata_only=True)
            self._listed[key] = {objects.name(body): body for body in found}
        return self._listed[key].get(target.name)


def observe(desk: Desk, params: Undo) -> Snapshot:
    """The run's bundles, and what stands in the cluster where they would be put back. Raises NoBundle where there is none."""
    run_id, bundles = _bundles(desk, params.run)
    cluster = _Cluster(desk)
    found = [
        Found(
            kept.target,
            kept.uid,
            kept.owners,
            cluster.living(kept.owners, kept.target.namespace),
            cluster.uid(kept.target),
            not kept.target.namespace or bool(cluster.stays(Target(NAMESPACE.api_version, NAMESPACE.kind, kept.target.namespace))),
        )
        for bundle in bundles
        for kept in bundle.objects
    ]
    return Snapshot(run_id, {str(bundle.path): bundle.digest for bundle in bundles}, tuple(found))


def plan(spec: PlatformSpec, snapshot: Snapshot, params: Undo, frame: PlanFrame, now: datetime) -> Plan:
    """A creation for what is missing; what exists is kept, what has no namespace to come back to is refused. It holds no manifest."""
    actions, kept, refused = dict[Target, Action](), list[Kept](), list[Refused]()
    for found in snapshot.found:
        target = found.target
        if found.now:
            said = "it was never deleted" if found.now == found.was else "it exists again"
            kept.append(Kept(Target(target.api_version, target.kind, target.name, target.namespace, found.now), said))
        elif not found.has_namespace:
            refused.append(Refused(target, f"namespace {target.namespace} does not exist, or is going; make it first"))
        else:
            # what a run deleted twice comes back as it was last
            actions[target] = Action("create", target, _reason(found), {OWNERS: list(found.living)})
    facts = {"run": snapshot.run_id, **{f"bundle {path}": digest for path, digest in snapshot.bundles.items()}}
    return frame.plan(actions=tuple(actions.values()), kept=tuple(kept), refused=tuple(refused), facts=facts, seen=len(snapshot.found))


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Create what the plan names, from the same bundles; what exists by now is left alone.

    Raises NoBundle for a bundle that is another, ClusterMovedOn for an owner that is another than the plan relied on, KubeError, Frozen.
    """
    _, bundles = _bundles(desk, str(plan.facts["run"]))
    now = {f"bundle {bundle.path}": bundle.digest for bundle in bundles}
    for name, digest in plan.facts.items():
        if name.startswith("bundle ") and now.get(name) != digest:
            raise NoBundle(f"the undo {name} is gone or another than when the plan was made; nothing was put back. Plan again.")
    bodies = {kept.target: kept for bundle in bundles for kept in bundle.objects}
    cluster = _Cluster(desk)
    for number, action in enumerate(plan.actions):
        if number and number % FREEZE_EVERY == 0:
            require_not_frozen(desk, plan.operation)
        kept = bodies[action.target]
        living = cluster.living(kept.owners, action.target.namespace)
        if list(living) != list(action.guard[OWNERS]):
            journal.outcome("create", action.target, "failed", "its owners are others than the plan relied on")
            raise apply.ClusterMovedOn(
                f"the owners of {action.target} are others than the plan relied on; it was not put back. Plan again."
            )
        metadata = dict(kept.body["metadata"])
        if living:
            metadata["ownerReferences"] = [dict(owner) for owner in kept.owners if owner["uid"] in living]
        try:
            with apply.answered("create", action.target, journal):
                desk.kube.create({**kept.body, "metadata": metadata})
        except errors.AlreadyExists:
            journal.outcome("create", action.target, "already", "it exists again")
        else:
            journal.outcome("create", action.target, "done")
    return {}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when everything of the plan is there, asked anew."""
    cluster = _Cluster(desk)
    missing = [str(action.target) for action in plan.actions if not cluster.uid(action.target)]
    if missing:
        return Verdict("bad", f"gone again: {', '.join(missing)}; look at what owns them, or cleans them up")
    facts = {"put back": len(plan.actions), "left alone": len(plan.kept)}
    return Verdict("good", f"{len(plan.actions)} objects are back, {len(plan.kept)} were there", facts, word="put back")


def _bundles(desk: Desk, run: str) -> tuple[str, list[Bundle]]:
    """The one run that is meant, and its bundles. Raises NoBundle."""
    known = desk.bundles.runs() if desk.bundles else []
    meant = [run_id for run_id in known if run_id.startswith(run)]
    if not meant or desk.bundles is None:
        raise NoBundle(
            f"run {run} left nothing to put back: there is no undo bundle of it. Expected a run that deleted, on this desk, within "
            f"desk.undo_days. There are bundles of {len(known)} runs{': ' if known else ''}{', '.join(r[:8] for r in known[-10:])}.",
            f"ls ${{{UNDO_VARIABLE}:-the folder undo beside the evidence}}",
        )
    if len(meant) > 1:
        raise NoBundle(f"{run} is the beginning of {len(meant)} runs that deleted: {', '.join(meant)}. Name one of them whole.")
    return meant[0], [undo.read(path) for path in desk.bundles.of(f"{meant[0]}-")]


def _owner(owner: Mapping[str, Any], namespace: str) -> Target:
    """An owner is in the same namespace, or in none."""
    resource = resources.BY_KIND.get((str(owner["apiVersion"]), str(owner["kind"])))
    inside = namespace if resource is None or resource.namespaced else ""
    return Target(str(owner["apiVersion"]), str(owner["kind"]), str(owner["name"]), inside)


def _reason(found: Found) -> str:
    said = ["it is missing"]
    for owner in found.owners:
        name = f"{owner['kind']} {owner['name']}"
        if owner["uid"] in found.living:
            said.append(f"it goes back to {name}")
        else:
            said.append(f"without its owner {name}, which is gone, another, or of a kind that the desk does not know")
    if (found.target.api_version, found.target.kind) == ("batch/v1", "Job"):
        said.append("suspended, so that it does not run again")
    if (found.target.api_version, found.target.kind) == ("v1", "Pod"):
        said.append("with a scheduling gate, so that it does not run again")
    return "; ".join(said)


UNDO = Operation(
    name="undo",
    description=f"""
Puts back what a run deleted, exactly as it was when it was deleted.

**When to run:** when a cleanup took something that is missed. `mode: plan` shows what is missing, and what exists again.
**What it changes:** creates what is missing and leaves alone what exists. An object goes back to its owner only where that one still lives.
A Job comes back suspended and a pod with a scheduling gate, since they would run again; their status is not brought back.
**How to undo:** delete what it put back.

Without a desk: every bundle begins with the kubectl line that replays it. They lie in `undo` beside the evidence, or where
`{UNDO_VARIABLE}` says, for `desk.undo_days`.
""",
    params=Undo,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; what is back is left alone.",
)
