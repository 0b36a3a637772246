"""Whether a backup counts: completed, its WAL in the store, its size plausible. Asked anew of the cluster and of the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gsv_ops.database import wal_needed
from gsv_ops.database.backup.execute import COMPLETED, store_of
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.barman_store import BaseBackup, StoreUnreadable
from gsv_ops.database.lsn import parse_lsn
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.resources import POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Check, Desk, Fact, Table, Timestamp, Verdict
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import BackupLimits

SIZE_CHECK = "size_is_plausible"
WAL_CHECK = "wal_to_its_end_is_archived"
FINGERPRINT_CHECK = "fingerprint_is_taken"
CHECKS = (SIZE_CHECK, WAL_CHECK, FINGERPRINT_CHECK)
DONE = "DONE"


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """The verdict on the backup that `results` describes."""
    database = database_of(desk.spec, plan.params)
    backup, taken = results["backup"], results["fingerprint"]
    live = desk.kube.get(POSTGRES_BACKUP, backup["name"], database.namespace)
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    checks: list[Check] = []
    size = 0
    try:
        store = store_of(desk, database, cluster)
        bases = store.base_backups()
        missing = wal_needed.missing(store, backup["beginWal"], results["last_segment"], results["segment_size"])
    except StoreUnreadable as problem:
        return Verdict("inconclusive", str(problem), _facts(results, size))
    mine = next((base for base in bases if base.backup_id == backup["backupId"]), None)
    size = mine.bytes if mine else 0
    checks.append(size_check(mine, [base for base in bases if base is not mine], database.backup))
    span = f"{backup['beginWal']} to {results['last_segment']}"
    found = f"every segment from {span} is in the store" if not missing else f"{', '.join(missing[:5])} of {span} are not in the store"
    checks.append(Check(WAL_CHECK, not missing, found, metadata={"segments missing": len(missing)}))
    checks.append(_fingerprint_check(taken))
    facts = _facts(results, size)
    if objects.uid(live) != backup["uid"] or at(live, "status", "phase") != COMPLETED:
        return Verdict("bad", f"Backup {backup['name']} is no longer the completed one this run made", facts, checks)
    failed = [check.description for check in checks[:2] if not check.passed]
    if failed:
        return Verdict("bad", f"Backup {backup['name']} is completed, and does not count: {'; '.join(failed)}", facts, checks)
    proof = f"; {taken['rows']} rows fingerprinted at {taken['lsn']}" if taken["record"] else "; no fingerprint, so it cannot be proven"
    return Verdict("good", f"Backup {backup['name']} is completed and its WAL is in the store{proof}", facts, checks)


def size_check(mine: BaseBackup | None, others: Sequence[BaseBackup], limits: BackupLimits) -> Check:
    """Whether the base backup in the store is as large as one can be: above the floor, and not much smaller than the last good one."""
    if mine is None:
        return Check(SIZE_CHECK, False, "the store has no such base backup")
    earlier = [base for base in others if base.status == DONE and base.backup_id < mine.backup_id]
    shown: dict[str, Fact] = {"bytes": mine.bytes, "floor in bytes": limits.floor_bytes}
    least = limits.floor_bytes
    if earlier:
        shown["bytes of the one before"] = earlier[-1].bytes
        least = max(least, earlier[-1].bytes * (100 - limits.shrink_percent) // 100)
    if mine.status != DONE:
        return Check(SIZE_CHECK, False, f"Barman says the base backup is {mine.status}, expected {DONE}", metadata=shown)
    if mine.bytes < least:
        return Check(SIZE_CHECK, False, f"{mine.bytes} bytes, expected at least {least} (floor and the backup before)", metadata=shown)
    return Check(SIZE_CHECK, True, f"{mine.bytes} bytes, at least {least} expected", metadata=shown)


def _fingerprint_check(taken: Mapping[str, Any]) -> Check:
    if not taken["record"]:
        return Check(FINGERPRINT_CHECK, False, f"inconclusive: {taken['problem']}", "WARN")
    if taken["problem"]:
        return Check(FINGERPRINT_CHECK, False, taken["problem"], "WARN")
    return Check(
        FINGERPRINT_CHECK, True, f"{taken['rows']} rows in {taken['tables']} tables at {taken['lsn']}, timeline {taken['timeline']}"
    )


def _facts(results: Mapping[str, Any], size: int) -> dict[str, Fact]:
    backup, taken = results["backup"], results["fingerprint"]
    started, stopped = parse_time(backup["startedAt"]), parse_time(backup["stoppedAt"])
    facts: dict[str, Fact] = {
        "backup": backup["name"],
        "backup id": backup["backupId"],
        "begin WAL": backup["beginWal"],
        "end WAL": backup["endWal"],
        "begin LSN": backup["beginLSN"],
        "end LSN": backup["endLSN"],
        "taken on": results["instance"],
        "stopped at": Timestamp(stopped),
        "duration in seconds": (stopped - started).total_seconds(),
        "seconds until archived": float(results["archive_seconds"]),
        "size in bytes": size,
    }
    if taken["record"]:
        facts |= {
            "fingerprint LSN": taken["lsn"],
            "timeline": taken["timeline"],
            "system identifier": taken["system_identifier"],
            "tables": taken["tables"],
            "rows": taken["rows"],
            "bytes of WAL from its end to the newest commit": max(0, parse_lsn(taken["lsn"]) - parse_lsn(backup["endLSN"])),
            "fingerprint in seconds": float(taken["seconds"]),
        }
        if taken["not_compared"]:
            facts["not compared"] = Table([dict(row) for row in taken["not_compared"]])
    return facts
