"""What a promotion would be: one patch of the Cluster's status, with every gate and its value; refused while one does not pass."""

from __future__ import annotations

from datetime import datetime
from difflib import get_close_matches

from gsv_ops.database import source
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.promotion import gates
from gsv_ops.database.promotion.gates import Gate
from gsv_ops.database.promotion.observe import Seen
from gsv_ops.database.promotion.params import PromoteReplica
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POD, POSTGRES_CLUSTER
from gsv_ops.operations.operation import PlanFrame
from gsv_ops.operations.plan import Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import PlatformSpec

SWITCHOVER = "Switchover in progress"
"""CloudNativePG's phase, which its `promote` sets with the target."""


def plan(spec: PlatformSpec, seen: Seen, params: PromoteReplica, frame: PlanFrame, now: datetime) -> Plan:
    """One patch, or every reason why not. What moves by itself is shown, and is no part of the decision's id."""
    database = database_of(spec, params.model_dump())
    now_primary = source.primary(seen.cluster)
    chosen = params.instance or gates.furthest(seen, database)
    cluster = _target(seen.cluster)
    if reason := _no_replica(seen, chosen, now_primary):
        return frame.plan(refused=(Refused(cluster, reason),), facts=facts(seen, "", now_primary), seen=len(seen.pods))
    judged = gates.of_cluster(seen, database) + gates.of_replica(seen, chosen, database.promotion)
    refused = [Refused(cluster, str(gate)) for gate in judged if not gate.passes]
    if database.heartbeat is None:
        refused.append(Refused(cluster, "platform.yaml names no heartbeat for it: that writes work afterwards could not be shown"))
    action = Action(
        "patch",
        cluster,
        f"{chosen} becomes the primary and {now_primary} its replica; writes stop for some seconds meanwhile",
        guard={
            "status.currentPrimary": now_primary,
            "status.targetPrimary": now_primary,
            "status.phase": source.HEALTHY_PHASE,
            f"metadata.annotations.{source.FENCED}": at(seen.cluster, "metadata", "annotations", source.FENCED),
            f"metadata.annotations.{source.HIBERNATION}": at(seen.cluster, "metadata", "annotations", source.HIBERNATION),
        },
        body={"status": {"targetPrimary": chosen, "phase": SWITCHOVER, "phaseReason": f"Switching over to {chosen}"}},
    )
    kept = tuple(
        Kept(Target(POD.api_version, POD.kind, name, database.namespace, objects.uid(pod)), "it stays a replica")
        for name, pod in sorted(seen.pods.items())
        if name not in (chosen, now_primary)
    )
    return frame.plan(
        actions=() if refused else (action,),
        kept=kept,
        refused=tuple(refused),
        facts=facts(seen, chosen, now_primary),
        seen=len(seen.pods),
        shown={"gates": [_row(gate) for gate in judged]},
    )


def facts(seen: Seen, chosen: str, now_primary: str) -> dict[str, object]:
    """What the decision relies on, and nothing that moves by itself."""
    return {
        "cluster uid": objects.uid(seen.cluster),
        "primary": now_primary,
        "instance": chosen,
        "timeline": 0 if isinstance(seen.primary, Unseen) else seen.primary.timeline,
        "synchronous": gates.synchronous(seen.cluster),
    }


def _no_replica(seen: Seen, chosen: str, now_primary: str) -> str:
    known = source.instances(seen.cluster)
    if not chosen:
        return f"it has no replica to promote: {', '.join(known) or 'no instance'} is all there is"
    if chosen == now_primary:
        return f"{chosen} is already the primary; nothing is to be done"
    if chosen not in known:
        near = get_close_matches(chosen, known, cutoff=0.5)
        mean = f" Did you mean {', '.join(near)}?" if near else ""
        return f"it has no instance {chosen!r}; it has {', '.join(known) or 'none'}.{mean}"
    return ""


def _row(gate: Gate) -> dict[str, str]:
    return {"gate": gate.name, "passes": "yes" if gate.passes else "NO", "seen": gate.seen, "expected": gate.expected}


def _target(cluster: Object) -> Target:
    return Target(
        POSTGRES_CLUSTER.api_version, POSTGRES_CLUSTER.kind, objects.name(cluster), objects.namespace(cluster) or "", objects.uid(cluster)
    )
