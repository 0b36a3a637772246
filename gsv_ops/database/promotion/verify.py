"""Whether the promotion is really so, asked anew: who is primary, where the Service leads, the timeline, the standby, and every commit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gsv_ops.database import replication, source
from gsv_ops.database.backup.execute import endpoint_of
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.promotion import front_door
from gsv_ops.database.promotion.observe import INSTANCE
from gsv_ops.database.session import DatabaseError, connect
from gsv_ops.kube import objects
from gsv_ops.kube.resources import POD, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, Fact, OperationFailed, Verdict
from gsv_ops.operations.plan import Plan

ROLE = "cnpg.io/instanceRole"


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when the role, the Service, the timeline and the standby moved, writes go on, and no acknowledged commit is missing."""
    database = database_of(desk.spec, plan.params)
    to, former = results["instance"], results["former"]
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    labels = f"{source.CLUSTER_LABEL}={database.cluster},{INSTANCE}"
    pods = desk.kube.list(POD, database.namespace, labels=labels, metadata_only=True)
    primaries = sorted(objects.name(pod) for pod in pods if objects.labels(pod).get(ROLE) == "primary")
    behind = front_door.behind(desk, database, cluster)
    rows = [datetime.fromisoformat(moment) for moment in results["acknowledged"]]
    try:
        with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
            seen = replication.primary(session)
        with front_door.session(desk, database, cluster) as session:
            rows.append(front_door.write(session))
            lost = front_door.missing(session, rows)
    except (DatabaseError, OperationFailed) as problem:
        return Verdict("bad", f"the new primary could not be asked: {problem}")
    standby = seen.standbys.get(former)
    streams = standby.state if standby else "not there"
    timeline = int(plan.facts["timeline"])
    wrong = [
        told
        for told, is_wrong in (
            (f"the Cluster says that {source.primary(cluster) or 'no instance'} is the primary", source.primary(cluster) != to),
            (f"the label {ROLE}=primary is on {', '.join(primaries) or 'no pod'}", primaries != [to]),
            (f"the read-write Service leads to {', '.join(behind) or 'no instance'}", behind != [to]),
            (f"the timeline is {seen.timeline} after {timeline}", seen.timeline != timeline + 1),
            (f"the former primary {former} is {streams} as a standby", streams != replication.STREAMING),
            (f"{len(lost)} acknowledged commits are missing, the first of {min(lost, default=None)}", bool(lost)),
        )
        if is_wrong
    ]
    facts: dict[str, Fact] = {
        "primary": to,
        "former primary": former,
        "timeline": seen.timeline,
        "commits acknowledged": len(rows),
        "commits missing": len(lost),
        "writes refused meanwhile": results["refused"],
    }
    measured = {"seconds until promoted": results["promoted_seconds"], "write outage in seconds": results["outage_seconds"]}
    facts |= {name: round(seconds, 2) for name, seconds in measured.items() if seconds is not None}
    if wrong:
        return Verdict("bad", f"expected {to} to be the only primary, one timeline on, with nothing lost: {'; '.join(wrong)}", facts)
    outage = f", writes stopped for {results['outage_seconds']:.1f} s" if results["outage_seconds"] is not None else ""
    return Verdict(
        "good", f"{to} is the primary and {former} follows it{outage}; of {len(rows)} acknowledged commits none is missing", facts
    )
