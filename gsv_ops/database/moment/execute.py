"""Restores to the moment into a scratch cluster and holds its heartbeats against the source's; takes everything down again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from gsv_ops.database import ended, heartbeats_asked, recoveries, recovery, scratch_run, source
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.heartbeats_kept import End
from gsv_ops.database.session import DatabaseError
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import parse_time
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """The outcome (proven, failed, inconclusive), the reason, both sides of the moment, and how long each part took."""
    database = database_of(desk.spec, plan.params)
    moment = parse_time(plan.params["moment"])
    policy, cluster = plan.actions
    try:
        found = scratch_run.restore(desk, database, policy, cluster, journal, f"to {plan.params['moment']}")
    except recovery.RecoveryFailed as problem:
        return {"outcome": "failed", "reason": str(problem), "timings": {}}
    except recovery.RecoveryOverdue as problem:
        return {"outcome": "inconclusive", "reason": str(problem), "timings": {}}
    timings = dict(found.seconds)
    scratch = database.model_copy(update={"cluster": objects.name(found.cluster)})
    try:
        # asked of the server: the Cluster's status may still tell of the moment before the promotion
        timeline = heartbeats_asked.asked(desk, scratch, lambda session: archiver_status(session).timeline)
        history = ended.history(desk.kube, database.namespace, source.primary(found.cluster), timeline)
        if not history:
            raise OperationFailed(f"the history of timeline {timeline} cannot be read, so it is not known where the recovery ended")
        left = history[-1]
        recoveries.keep(desk, database, plan.facts["base backup"], left.lsn - int(plan.facts["begin LSN"]), timings)
        kept = heartbeats_asked.compared(desk, database, scratch, End(left.lsn, moment), int(plan.facts["timeline"]))
    except (KubeError, DatabaseError, OperationFailed) as problem:
        return {"outcome": "inconclusive", "reason": f"the restored database could not be asked: {problem}", "timings": timings}
    told = {"timings": timings, "before": kept.before, "ended": asdict(left), "restored_timeline": timeline}
    for side, row in (("newest_before", kept.newest_before), ("first_after", kept.first_after)):
        told[side] = row.at.isoformat() if row else ""
    if left.timeline != int(plan.facts["timeline"]):
        reason = f"it ended on timeline {left.timeline}, expected {plan.facts['timeline']}: commits of after a switchover are missing"
        return {"outcome": "failed", "reason": reason, **told}
    if kept.answer == "yes" and not kept.before:
        return {"outcome": "inconclusive", "reason": "no heartbeat is certainly from before the moment: nothing is proven", **told}
    outcome = {"yes": "proven", "no": "failed"}.get(kept.answer, "inconclusive")
    return {"outcome": outcome, "reason": kept.found, **told}
