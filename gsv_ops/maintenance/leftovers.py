"""find_leftovers: what nothing uses any more, each with the reason and a command that only looks closer. It deletes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.kube.resources import (
    DEPLOYMENT,
    ENDPOINT_SLICE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    SERVICE,
)
from gsv_ops.maintenance.seen import Absent, Listed, Unknown, listed, those
from gsv_ops.operations.operation import Check, Desk, Fact, Params, Table
from gsv_ops.operations.reporting import Before, Found, Report

NOTHING, KNOWN = "nothing_is_left_over", "everything_could_be_read"
SERVICE_NAME = "kubernetes.io/service-name"
FROM_DEPLOYMENTS = "Deployment"


@dataclass(frozen=True)
class Snapshot:
    """What there is of each kind, or why it is not known. ReplicaSets and Deployments: their metadata alone."""

    claims: Listed
    volumes: Listed
    services: Listed
    slices: Listed
    replica_sets: Listed
    deployments: Listed
    pods: Listed

    @property
    def unknown(self) -> dict[str, str]:
        return {name: part.why for name, part in vars(self).items() if isinstance(part, Absent | Unknown)}


@dataclass(frozen=True)
class Leftover:
    """One object that nothing uses."""

    kind: str
    namespace: str
    name: str
    reason: str
    look: str


class FindLeftovers(Params):
    """Nothing to choose."""


def look(desk: Desk, params: FindLeftovers, before: Before) -> Found:
    """The list, counted by kind."""
    settle = timedelta(seconds=desk.spec.reports.leftovers.settle_seconds)
    return found(observe(desk.kube), desk.now(), settle)


def observe(kube: Kube) -> Snapshot:
    return Snapshot(
        claims=listed(kube, PERSISTENT_VOLUME_CLAIM),
        volumes=listed(kube, PERSISTENT_VOLUME),
        services=listed(kube, SERVICE),
        slices=listed(kube, ENDPOINT_SLICE),
        replica_sets=listed(kube, REPLICA_SET, metadata_only=True),
        deployments=listed(kube, DEPLOYMENT, metadata_only=True),
        pods=listed(kube, POD),
    )


def found(seen: Snapshot, now: datetime, settle: timedelta) -> Found:
    """Pure: from what was seen. What was made less than `settle` ago may just be on its way, and does not count."""
    old = [one for one, made in leftovers(seen) if now - made >= settle]
    young = sum(now - made < settle for _, made in leftovers(seen))
    counts = Counter(one.kind for one in old)
    kinds = (PERSISTENT_VOLUME_CLAIM, PERSISTENT_VOLUME, SERVICE, REPLICA_SET)
    facts: dict[str, Fact] = {
        "left over": Table(
            [{"what": f"{one.kind} {one.name}", "in": one.namespace or "-", "why": one.reason, "look": one.look} for one in old]
        ),
        **{resource.plural: counts[resource.kind] for resource in kinds},
        "too young to count": young,
    }
    said = ", ".join(f"{number} {kind}" for kind, number in sorted(counts.items())) or "nothing is left over"
    unknown = "; ".join(f"{name}: {why}" for name, why in seen.unknown.items())
    clean = Check(NOTHING, not old and not unknown, f"unknown: {unknown}" if unknown else said, "WARN")
    known = Check(KNOWN, not unknown, f"unknown: {unknown}" if unknown else "all was read")
    return Found(f"{said}; not known: {unknown}" if unknown else said, facts, [clean, known])


def leftovers(seen: Snapshot) -> Iterator[tuple[Leftover, datetime]]:
    """Each, and when it was made. A kind whose other half is not known is not judged."""
    yield from _claims(seen)
    yield from _volumes(those(seen.volumes))
    if isinstance(seen.slices, tuple):
        yield from _services(those(seen.services), seen.slices)
    if isinstance(seen.deployments, tuple):
        yield from _replica_sets(those(seen.replica_sets), seen.deployments)


def _claims(seen: Snapshot) -> Iterator[tuple[Leftover, datetime]]:
    """Claims without a volume; one that waits for its first pod, and has a pod that waits for it, is told as that."""
    using = {
        (objects.namespace(pod), at(volume, "persistentVolumeClaim", "claimName"))
        for pod in those(seen.pods)
        for volume in at(pod, "spec", "volumes", default=[])
    }
    for claim in those(seen.claims):
        phase = at(claim, "status", "phase", default="not reported")
        if phase == "Bound" or objects.deleting(claim):
            continue
        used = (objects.namespace(claim), objects.name(claim)) in using
        if phase == "Lost":
            why = "its volume is gone"
        elif used:
            why = f"it is {phase}: no volume was found or made for it, and a pod waits for that"
        else:
            why = (
                f"it is {phase}, and no pod uses it"
                if isinstance(seen.pods, tuple)
                else f"it is {phase}; whether a pod uses it is not known"
            )
        yield _leftover(PERSISTENT_VOLUME_CLAIM, claim, why)


def _volumes(volumes: Iterable[Object]) -> Iterator[tuple[Leftover, datetime]]:
    for volume in volumes:
        phase = at(volume, "status", "phase")
        if phase not in ("Released", "Failed") or objects.deleting(volume):
            continue
        claim = f"{at(volume, 'spec', 'claimRef', 'namespace', default='?')}/{at(volume, 'spec', 'claimRef', 'name', default='?')}"
        policy = at(volume, "spec", "persistentVolumeReclaimPolicy", default="not named")
        size = at(volume, "spec", "capacity", "storage", default="unknown size")
        cause = at(volume, "status", "message", default="")
        why = f"its claim {claim} is gone; its data ({size}) stays, for its reclaim policy is {policy}"
        found, made = _leftover(
            PERSISTENT_VOLUME, volume, why if phase == "Released" else f"its reclaiming failed: {cause or 'no reason given'}"
        )
        since = at(volume, "status", "lastPhaseTransitionTime")
        yield found, objects.parse_time(str(since)) if since else made


def _services(services: Iterable[Object], slices: Iterable[Object]) -> Iterator[tuple[Leftover, datetime]]:
    """Services that lead nowhere. An address that is not ready is one: its pod is there."""
    backed = {
        (objects.namespace(part), objects.labels(part).get(SERVICE_NAME)) for part in slices if any(at(part, "endpoints", default=[]) or [])
    }
    for service in services:
        if at(service, "spec", "type") == "ExternalName" or objects.deleting(service):
            continue
        if (objects.namespace(service), objects.name(service)) in backed:
            continue
        selector = at(service, "spec", "selector", default={})
        labels = ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
        why = f"no pod has its labels {labels}" if labels else "it has no selector, and nobody gave it an endpoint"
        yield _leftover(SERVICE, service, why)


def _replica_sets(sets: Iterable[Object], deployments: Iterable[Object]) -> Iterator[tuple[Leftover, datetime]]:
    """Of a Deployment that is not there any more (by uid), or of nobody. Those of other controllers are not ours to judge."""
    living = {objects.uid(body) for body in deployments}
    for body in sets:
        owner = objects.controller(body)
        if objects.deleting(body) or (owner and (owner.kind != FROM_DEPLOYMENTS or owner.uid in living)):
            continue
        why = f"its Deployment {owner.name} is gone" if owner else "nothing owns it; was it made by hand?"
        yield _leftover(REPLICA_SET, body, why)


def _leftover(resource: Resource, body: Object, why: str) -> tuple[Leftover, datetime]:
    namespace, name = objects.namespace(body) or "", objects.name(body)
    where = f" -n {namespace}" if namespace else ""
    return Leftover(resource.kind, namespace, name, why, f"kubectl describe {resource.kind.lower()} {name}{where}"), objects.created(body)


FIND_LEFTOVERS = Report(
    name="find_leftovers",
    description="""
What nothing uses any more: claims without a volume, volumes whose claim is gone, Services that lead nowhere, ReplicaSets whose Deployment
is gone; each with the reason and a command that looks closer.

**When to run:** when disks fill or names pile up; by itself at the times of platform.yaml.
**What it changes:** nothing; it never deletes. The list stands on the asset `platform/leftovers`.
**How to undo:** nothing to undo.
""",
    params=FindLeftovers,
    look=look,
    checks={
        NOTHING: "No claim, volume, Service or ReplicaSet is left over.",
        KNOWN: "Nothing that the list is made from was kept from the desk, and everybody who was asked answered.",
    },
)
