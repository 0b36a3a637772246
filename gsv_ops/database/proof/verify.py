"""The verdict on a proof: proven, failed or inconclusive; and whether anything of it is left in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from gsv_ops.database import conditions, proofs
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.proofs import Compared, Proof
from gsv_ops.kube import objects
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.operation import Check, Desk, Fact, Table, Verdict
from gsv_ops.operations.plan import Plan

LEFT_CHECK = "nothing_is_left_of_the_proof"


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """The verdict on the restore that `results` describes."""
    database = database_of(desk.spec, plan.params)
    outcome, reason = results["outcome"], results["reason"]
    labels = f"{apply.ROOT_RUN_LABEL}={desk.run_id}"
    left = [objects.name(c) for c in desk.kube.list(POSTGRES_CLUSTER, database.namespace, labels=labels)]
    rows, tables = int(results.get("rows", 0)), int(results.get("tables", 0))
    if outcome == "proven" and not (rows and tables):
        outcome, reason = "inconclusive", "nothing was compared, so nothing is proven"
    if outcome == "proven" and "compared_at" not in results:
        outcome, reason = "inconclusive", "it is not known when the rows were compared, so neither is how old the proof is"
    if results.get("late"):
        reason += "; the fingerprint was taken for a proof, not with the backup"
    if outcome in ("proven", "failed"):
        _keep(desk, plan, results, outcome, reason)
    newest = proofs.compared(desk.records, database, desk.cluster_identity)
    checks = [
        # an inconclusive proof leaves what is known as it was
        conditions.restored_rows_are_equal(newest, None, database.watch),
        Check(LEFT_CHECK, not left, f"{', '.join(left)} still there" if left else "the scratch cluster is gone", "WARN"),
    ]
    facts: dict[str, Fact] = {
        "backup": plan.facts["backup"],
        "backup id": plan.facts["backup id"],
        "target LSN": results.get("lsn", plan.facts["target LSN"]),
        "target timeline": results.get("source_timeline", plan.facts["target timeline"]),
        "rows": rows,
        "tables": tables,
    }
    facts |= {f"{part} in seconds": float(seconds) for part, seconds in results["timings"].items()}
    if "restored_timeline" in results:
        facts |= {"restored timeline": results["restored_timeline"], "system identifier": results["system_identifier"]}
    for title, key in (("differences", "differences"), ("not compared", "not_compared")):
        if results.get(key):
            facts[title] = Table([dict(row) for row in results[key]])
    if outcome == "proven":
        proven = Proof(
            backup=plan.facts["backup"],
            backup_uid=plan.facts["backup uid"],
            backup_id=plan.facts["backup id"],
            proven_at=datetime.fromisoformat(results["compared_at"]),  # a verdict may be reached anew, long after
            rows=rows,
            tables=tables,
            run_id=desk.run_id,
        )
        proofs.write(desk.records, database, desk.cluster_identity, proven)
    status = {"proven": "good", "failed": "bad"}.get(outcome, "inconclusive")
    return Verdict(status, f"Backup {plan.facts['backup']}: {reason}", facts, checks, word=outcome)  # type: ignore[arg-type]


def _keep(desk: Desk, plan: Plan, results: Mapping[str, Any], outcome: Literal["proven", "failed"], reason: str) -> None:
    found = Compared(
        outcome=outcome,
        reason=reason,
        backup=plan.facts["backup"],
        at=datetime.fromisoformat(results["compared_at"]) if "compared_at" in results else desk.now(),
        rows=int(results.get("rows", 0)),
        tables=int(results.get("tables", 0)),
        lsn=str(results.get("lsn", plan.facts["target LSN"])),
        different=tuple(str(row["table"]) for row in results.get("differences", ())),
        run_id=desk.run_id,
    )
    proofs.write_compared(desk.records, database_of(desk.spec, plan.params), desk.cluster_identity, found)
