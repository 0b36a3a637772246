"""prune_replicasets: old ReplicaSets that no rollback needs, and never the live one.

The rule is the Deployment controller's own for what it may clean up, and stricter: complete rollouts only, with an age, and nothing marked.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import Field

from gsv_ops.cleanup import pruning
from gsv_ops.cleanup.pruning import INSTANCE, TRACKED, Decision, Prune
from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import DEPLOYMENT, POD, REPLICA_SET
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import PlatformSpec

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
DEFAULT_HISTORY = 10  # the API server's default of revisionHistoryLimit


class PruneReplicaSets(Prune):
    """How much of the history of a Deployment stays."""

    keep: int = Field(
        default=-1,
        ge=-1,
        description="How many old ReplicaSets of each Deployment stay for a rollback, the newest. -1: its own revisionHistoryLimit.",
    )
    older_than_hours: int = Field(default=24, ge=0, description="Younger ones stay.")


@dataclass(frozen=True)
class Seen:
    """All ReplicaSets and Deployments, the uids of whatever owns a pod, and the namespaces that do not exist."""

    replica_sets: tuple[Object, ...]
    deployments: tuple[Object, ...]
    with_pods: frozenset[str]
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class History:
    """One Deployment and what follows from it and all its ReplicaSets.

    `restless`: why nothing of it may go now. `live`, `hashes`: the uids and template hashes of what it runs, by its revision and by its
    template. `old`: the revisions of the others.
    """

    deployment: Object
    restless: str
    live: frozenset[str]
    hashes: frozenset[str | None]
    old: tuple[int, ...] = ()


def observe(desk: Desk, params: PruneReplicaSets) -> Seen:
    """Every ReplicaSet of the namespaces, with what it belongs to and what belongs to it."""
    namespaces, missing = pruning.places(desk, params)
    replica_sets = [body for place in namespaces for body in desk.kube.list(REPLICA_SET, place)]
    deployments = [body for place in namespaces for body in desk.kube.list(DEPLOYMENT, place)]
    pods = (body for place in namespaces for body in desk.kube.list(POD, place, metadata_only=True))
    return Seen(tuple(replica_sets), tuple(deployments), frozenset(owner.uid for pod in pods for owner in objects.owners(pod)), missing)


def plan(spec: PlatformSpec, seen: Seen, params: PruneReplicaSets, frame: PlanFrame, now: datetime) -> Plan:
    """A deletion for every old ReplicaSet that no rollback needs; every other is kept, with the reason."""
    families: dict[str, list[Object]] = defaultdict(list)
    for body in seen.replica_sets:
        if owner := objects.controller(body):
            families[owner.uid].append(body)
    histories = {uid: history(body, families[uid]) for body in seen.deployments if (uid := objects.uid(body)) in families}
    decisions = []
    for body in seen.replica_sets:
        owner = objects.controller(body)
        found = histories.get(owner.uid) if owner else None
        why = why_kept(body, found, objects.uid(body) in seen.with_pods, params, now)
        going = found is not None and not why
        decisions.append(
            Decision(body, why, _reason(body, found.deployment, params.keep) if found and going else "", _guard(body) if going else {})
        )
    return pruning.decided(frame, spec.cleanup, decisions, seen.missing, dict(_unneeded(seen.deployments, params.keep)))


def history(deployment: Object, siblings: Sequence[Object]) -> History:
    """What follows from a Deployment and all ReplicaSets whose controller reference has its uid."""
    at_revision, template = revision(deployment), _template(deployment)
    live = [s for s in siblings if (at_revision is not None and revision(s) == at_revision) or _template(s) == template]
    uids = frozenset(objects.uid(s) for s in live)
    found = History(deployment, _not_at_rest(deployment), uids, frozenset(objects.labels(s).get(HASH) for s in live))
    old = [r for s in siblings if not objects.deleting(s) and not _current(s, found) and (r := revision(s)) is not None]
    return replace(found, old=tuple(old))


def why_kept(body: Object, found: History | None, has_pods: bool, params: PruneReplicaSets, now: datetime) -> str:
    """Why the ReplicaSet stays; empty if it may go. `found` is the Deployment's that its controller reference names by uid."""
    alone = pruning.left_alone(body) or _not_of_a_deployment(body, found)
    if alone or found is None:
        return alone or "it belongs to no Deployment"
    return (
        found.restless or _current(body, found) or _in_use(body, has_pods) or _needed(body, found, params.keep) or _young(body, params, now)
    )


def history_limit(deployment: Object) -> int:
    """How many old ReplicaSets the Deployment keeps itself."""
    return int(at(deployment, "spec", "revisionHistoryLimit", default=DEFAULT_HISTORY))


def revision(body: Object) -> int | None:
    """The revision a ReplicaSet or Deployment is at; None where that cannot be read."""
    text = objects.annotations(body).get(REVISION, "")
    return int(text) if text.isascii() and text.isdigit() else None


def _not_of_a_deployment(body: Object, found: History | None) -> str:
    owner = next((o for o in at(body, "metadata", "ownerReferences", default=[]) if o.get("controller")), None)
    if owner is None:
        return "it has no controller: somebody made it by hand"
    if owner["kind"] != DEPLOYMENT.kind or not str(owner["apiVersion"]).startswith("apps/"):
        return f"it belongs to {owner['kind']} {owner['name']}, which knows what it needs"
    if found is None or objects.uid(found.deployment) != owner["uid"]:
        return f"its Deployment {owner['name']} is not there, or is another of that name: the garbage collector takes it if it may go"
    return ""


def _not_at_rest(deployment: Object) -> str:
    name = f"Deployment {objects.name(deployment)}"
    if objects.deleting(deployment):
        return f"{name} is being deleted, and takes it along"
    if at(deployment, "spec", "paused"):
        return f"{name} is paused"
    found = health.of({**deployment, "apiVersion": DEPLOYMENT.api_version, "kind": DEPLOYMENT.kind})
    if found.healthy or (found.status == "Suspended" and at(deployment, "spec", "replicas") == 0):
        return ""
    return f"{name} is not complete: {found.reason}"


def _current(body: Object, found: History) -> str:
    """Whether it is what the Deployment runs, or has the hash of what is; also where that cannot be told."""
    if revision(found.deployment) is None or revision(body) is None:
        return "its revision, or its Deployment's, cannot be read"
    if not found.live:
        return "which ReplicaSet its Deployment runs cannot be told"
    if objects.uid(body) in found.live:
        return f"it is the current one, revision {revision(body)}"
    own = objects.labels(body).get(HASH)
    return f"by its {HASH} it may be the current one" if own is None or own in found.hashes else ""


def _in_use(body: Object, has_pods: bool) -> str:
    if at(body, "spec", "replicas") != 0:
        return f"it is to have {at(body, 'spec', 'replicas', default='an unknown number of')} pods"
    if at(body, "status", "replicas") is None:
        return "it does not say how many pods it has"
    # any of its counts of pods, also one that this code does not know yet
    if counted := [f"{number} {count}" for count, number in body["status"].items() if count.endswith("eplicas") and number]:
        return f"it has {', '.join(counted)}"
    if has_pods:
        return "pods that ended still belong to it, and would go with it"
    observed = at(body, "status", "observedGeneration", default=-1)
    if int(observed) < int(at(body, "metadata", "generation", default=0)):
        return "its status is about an older generation of it"
    return ""


def _needed(body: Object, found: History, keep: int) -> str:
    """Whether it is among the newest old ones. A sibling whose revision cannot be read takes nobody's place."""
    kept = history_limit(found.deployment) if keep < 0 else keep
    mine = revision(body)
    # strictly: of two at one revision neither takes the other's place
    newer = sum(1 for other in found.old if mine is not None and other > mine)
    return f"among the {kept} newest old ones, which a rollback needs (revision {mine})" if newer < kept else ""


def _young(body: Object, params: PruneReplicaSets, now: datetime) -> str:
    created = objects.created(body)
    return f"younger than {params.older_than_hours} hours" if now - created < timedelta(hours=params.older_than_hours) else ""


def _template(body: Object) -> Object:
    """The pods' template without what the Deployment controller adds to a ReplicaSet's."""
    template = at(body, "spec", "template", default={})
    metadata = {key: value for key, value in at(template, "metadata", default={}).items() if key != "creationTimestamp"}
    metadata["labels"] = {key: value for key, value in (metadata.get("labels") or {}).items() if key != HASH}
    return {**template, "metadata": metadata}


def _reason(body: Object, deployment: Object, keep: int) -> str:
    # no age: a plan is the same whenever it is made
    kept = history_limit(deployment) if keep < 0 else keep
    return (
        f"revision {revision(body)} of {objects.name(deployment)}, which is at {revision(deployment)}; not among the {kept} that stay; "
        f"no pods; created {objects.created(body):%Y-%m-%d %H:%M} UTC"
    )


def _guard(body: Object) -> dict[str, Any]:
    return {"spec.replicas": 0, "status.replicas": 0, f"metadata.annotations.{REVISION}": objects.annotations(body)[REVISION]}


def _unneeded(deployments: Sequence[Object], keep: int) -> Iterator[tuple[str, str]]:
    """The Deployments that keep more by themselves than is asked for, and what would make pruning unnecessary."""
    for body in deployments if keep >= 0 else ():
        if (limit := history_limit(body)) <= keep:
            continue
        namespace, name = objects.namespace(body), objects.name(body)
        change = json.dumps({"spec": {"revisionHistoryLimit": keep}})
        patch = f"kubectl patch deployment {name} -n {namespace} --type merge -p '{change}'"
        instance = objects.labels(body).get(INSTANCE)
        if tracked := objects.annotations(body).get(TRACKED):
            said = (
                f"set spec.revisionHistoryLimit: {keep} in Git, in application {tracked.partition(':')[0]} of Argo CD, which undoes a patch"
            )
        elif instance:
            said = f"{patch} (but in Git if Argo CD, or in the values if Helm, installs {instance})"
        else:
            said = patch
        yield f"{namespace}/{name} keeps {limit} itself", said


PRUNE_REPLICASETS = pruning.cleanup(
    "prune_replicasets",
    """
Deletes old ReplicaSets that no rollback needs. Never the live one, also where a Deployment is scaled to 0; never one with pods.

**When to run:** when old ReplicaSets clutter the cluster. A smaller `revisionHistoryLimit` makes it unnecessary: with `keep` the plan lists
the Deployments that have a larger one, and what to change.
**What it changes:** deletes the ReplicaSets that the plan names. Of every Deployment the newest `keep` old ones stay, and whatever is
young, is marked `gsv-ops/keep`, belongs to another controller, or whose Deployment is paused or not complete.
**How to undo:** launch `undo` with this run's id.
""",
    PruneReplicaSets,
    observe,
    plan,
)
