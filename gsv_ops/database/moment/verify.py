"""The verdict on a moment: proven, failed or inconclusive; and whether anything of the scratch cluster is left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.lsn import format_lsn
from gsv_ops.kube import objects
from gsv_ops.kube.objects import parse_time
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.operation import Desk, Fact, Timestamp, Verdict
from gsv_ops.operations.plan import Plan


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """The verdict on the restore that `results` describes."""
    database = database_of(desk.spec, plan.params)
    facts: dict[str, Fact] = {
        "moment": Timestamp(parse_time(plan.params["moment"])),
        "moment, to repeat it": plan.params["moment"],
        "seed": int(plan.params["seed"]),
        "base backup": plan.facts["base backup"],
        "timeline": int(plan.facts["timeline"]),
        "base backup's timeline": int(plan.facts["base backup's timeline"]),
        "heartbeats before it": int(results.get("before", 0)),
    }
    for title, key in (("newest heartbeat before it", "newest_before"), ("first heartbeat after it", "first_after")):
        if results.get(key):
            facts[title] = Timestamp(parse_time(results[key]))
    if left := results.get("ended"):
        facts["ended at"] = f"{format_lsn(left['lsn'])} on timeline {left['timeline']}: {left['why']}"
        facts["restored timeline"] = int(results["restored_timeline"])
    facts |= {f"{part} in seconds": float(seconds) for part, seconds in results["timings"].items()}
    outcome, reason = results["outcome"], results["reason"]
    labels = f"{apply.ROOT_RUN_LABEL}={desk.run_id}"
    if there := [objects.name(c) for c in desk.kube.list(POSTGRES_CLUSTER, database.namespace, labels=labels)]:
        reason += f"; {', '.join(there)} is still there: launch sweep_scratch_clusters"
    status = {"proven": "good", "failed": "bad"}.get(outcome, "inconclusive")
    return Verdict(status, f"{plan.params['moment']}: {reason}", facts, word=outcome)  # type: ignore[arg-type]
