"""Restores the backup into a scratch cluster, reads every row there, compares, and takes everything down again.

A restore that fails is a result, not an error: it is what the proof was made to find out. Errors are only what kept it from finding out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gsv_ops.database import access, fingerprint, fingerprinting, manifest, recoveries, recovery, scratch_run, source
from gsv_ops.database.backup.execute import endpoint_of, source_of
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.barman_store import StoreUnreadable
from gsv_ops.database.compare import Comparison, compare
from gsv_ops.database.consistent_point import Inconclusive
from gsv_ops.database.lsn import parse_lsn
from gsv_ops.database.proof import in_store, scratch
from gsv_ops.database.record import Fingerprint
from gsv_ops.database.session import DatabaseError
from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_BACKUP
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import Database

LABEL_FILE = "/var/lib/postgresql/data/pgdata/backup_label.old"
CONTAINER = "postgres"
MOST_SHOWN = 50


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """The outcome (proven, failed, inconclusive), the reason, the comparison, and how long each part took."""
    database = database_of(desk.spec, plan.params)
    try:
        was, late = _source_fingerprint(desk, database, plan, journal)
    except Inconclusive as problem:
        return {"outcome": "inconclusive", "reason": f"the source could not be fingerprinted now: {problem}", "timings": {}}
    lsn = str(was.to_json()["lsn"])
    try:
        if no_base := in_store.why_no_base(desk, database, plan):
            return {"outcome": "failed", "reason": no_base, "timings": {}, "lsn": lsn, "compared_at": desk.now().isoformat()}
    except StoreUnreadable as problem:
        return {"outcome": "inconclusive", "reason": str(problem), "timings": {}}
    policy, cluster = plan.actions
    aimed = scratch.aimed(cluster.body or {}, manifest.exactly_before(plan.facts["backup id"], lsn, was.timeline))
    what = f"Backup {plan.facts['backup']} to just before {lsn}"
    try:
        recovered = scratch_run.restore(desk, database, policy, replace(cluster, body=aimed), journal, what)
    except recovery.RecoveryFailed as problem:
        reason = f"{problem}.{in_store.lacking_wal(desk, database, plan, lsn, was.timeline)}"
        return {"outcome": "failed", "reason": reason, "timings": {}, "lsn": lsn, "compared_at": desk.now().isoformat()}
    except recovery.RecoveryOverdue as problem:
        return {"outcome": "inconclusive", "reason": str(problem), "timings": {}}
    timings = dict(recovered.seconds)
    recoveries.keep(desk, database, plan.facts["backup id"], parse_lsn(lsn) - parse_lsn(plan.facts["begin LSN"]), timings)
    begun = desk.monotonic()
    try:
        wrong_base, now = _read(desk, database, recovered.cluster, plan)
    except Inconclusive as problem:
        return {"outcome": "inconclusive", "reason": f"the restored database could not be read whole: {problem}", "timings": timings}
    timings["verification"] = round(desk.monotonic() - begun, 1)
    desk.records.write(
        f"{plan.facts['fingerprint']}-restored-{journal.root_run_id}",
        {"cluster": objects.name(recovered.cluster), "fingerprint": now.to_json()},
    )
    result = compare(was, now)
    told = {"timings": timings, "lsn": lsn, "compared_at": desk.now().isoformat(), "late": late}
    return {**_outcome(result, was, now, wrong_base), **told, **_shown(result, was, now)}


def _source_fingerprint(desk: Desk, database: Database, plan: Plan, journal: Journal) -> tuple[Fingerprint, bool]:
    """The Backup's fingerprint, and whether it was taken later than the Backup, by this proof or an earlier one.

    Where the plan says so it is taken first, once: a re-executed run finds the one it took.
    Raises Inconclusive where none can be taken, OperationFailed where a record is gone.
    """
    name = plan.facts["fingerprint"]
    if plan.facts["target LSN"] == scratch.NOW and not journal.notes.get("fingerprinted"):
        backup = desk.kube.get(POSTGRES_BACKUP, plan.facts["backup"], database.namespace)

        def take() -> Mapping[str, Any]:
            with source_of(desk, database) as primary:
                taken = fingerprinting.take(primary, backup, journal.root_run_id, late=True)
                if taken["record"]:
                    fingerprinting.archive_past(primary, plan.facts["begin WAL"], taken)
            return taken

        taken = access.again(desk, "reading the source's rows", take)
        if not taken["record"]:
            raise Inconclusive(taken["problem"])
        journal.note(fingerprinted=True)
    record = desk.records.read(name)
    fingerprint = fingerprinting.kept(record)
    if record is None or fingerprint is None:
        raise OperationFailed(f"the fingerprint in {desk.records.path(name)} is gone or cannot be reached; nothing was changed")
    return Fingerprint.from_json(fingerprint), bool(record.get("late"))


def _wrong_base(desk: Desk, database: Database, cluster: Object, plan: Plan) -> str:
    """Why the restore did not start from the base backup it should have; empty if it did. PostgreSQL keeps the label it started from."""
    pod = source.primary(cluster)
    try:
        found = desk.kube.exec(database.namespace, pod, CONTAINER, ["cat", LABEL_FILE], timeout=30)
    except (errors.Unavailable, errors.StreamFailed):
        raise
    except errors.KubeError as problem:
        return f"which base backup was used could not be read: {problem}"
    expected = f"START WAL LOCATION: {plan.facts['begin LSN']} (file {plan.facts['begin WAL']})"
    if found.code != 0:
        return f"which base backup was used could not be read from {LABEL_FILE}: {found.stderr.strip()[:200]}"
    first = found.stdout.splitlines()[0] if found.stdout else "an empty file"
    return "" if first == expected else f"the restore started from another base backup: {first}, expected {expected}"


def _read(desk: Desk, database: Database, cluster: Object, plan: Plan) -> tuple[str, Fingerprint]:
    """Why the restore began with another base backup (empty: it did not), and the restored rows. Raises Inconclusive."""
    scratch = database.model_copy(update={"cluster": objects.name(cluster)})

    def read() -> tuple[str, Fingerprint]:
        wrong_base = _wrong_base(desk, database, cluster, plan)
        with endpoint_of(desk, scratch, cluster) as endpoint:
            return wrong_base, fingerprint.take(endpoint, limits=fingerprinting.limits(database))

    try:
        return access.again(desk, "reading the restored rows", read)
    except access.BROKE as problem:
        raise Inconclusive(str(problem)) from None
    except Inconclusive:
        raise
    except DatabaseError as problem:
        raise OperationFailed(f"reading the restored database: {problem}") from None


def _outcome(result: Comparison, was: Fingerprint, now: Fingerprint, wrong_base: str) -> dict[str, Any]:
    if wrong_base:
        return {"outcome": "inconclusive" if "could not be read" in wrong_base else "failed", "reason": wrong_base}
    if now.timeline <= was.timeline:
        return {"outcome": "failed", "reason": f"the restored timeline is {now.timeline}, expected one after {was.timeline}"}
    if result.verdict == "equal":
        return {"outcome": "proven", "reason": f"{result.rows_equal} rows in {result.tables_equal} tables are equal"}
    if result.verdict == "different":
        told = "; ".join(str(difference) for difference in result.differences[:5])
        return {"outcome": "failed", "reason": f"{len(result.differences)} differences: {told}"}
    return {"outcome": "inconclusive", "reason": "; ".join(result.reasons)}


def _shown(result: Comparison, was: Fingerprint, now: Fingerprint) -> dict[str, Any]:
    return {
        "rows": result.rows_equal,
        "tables": result.tables_equal,
        "differences": [
            {
                "table": difference.table,
                "source rows": "none" if difference.source_rows is None else difference.source_rows,
                "restored rows": "none" if difference.restored_rows is None else difference.restored_rows,
                "what": difference.what,
            }
            for difference in result.differences[:MOST_SHOWN]
        ],
        "not_compared": [{"object": omission.object, "reason": omission.reason} for omission in result.not_compared],
        "source_timeline": was.timeline,
        "restored_timeline": now.timeline,
        "system_identifier": now.system_identifier,
    }
