"""The good conditions of a database, judged: a pure function from what was seen to one Check each.

What could not be seen is a failed check that says so: unknown is never good, and a page that stays green since nothing was read is worst.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.database.barman_store import BaseBackup
from gsv_ops.database.lsn import next_segment, parse_wal_name, position_key
from gsv_ops.database.proofs import Compared, Proof
from gsv_ops.database.wal import ArchiverStatus
from gsv_ops.operations.operation import Check, Fact, Link, Table, Timestamp
from gsv_ops.platform.spec import Timetable, Watch

BACKUP_RECENT = "newest_backup_is_recent"
WAL_ARCHIVED = "wal_is_archived"
PROOF_RECENT = "newest_proof_is_recent"
ROWS_EQUAL = "restored_rows_are_equal"
NO_SCRATCH = "no_scratch_cluster_is_left"
DONE = "DONE"
CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Unseen:
    """Something that could not be read, and why."""

    why: str


@dataclass(frozen=True)
class Archive:
    """The archiver's own word, and whether the file it last archived is really in the store."""

    status: ArchiverStatus
    last_is_in_store: bool


@dataclass(frozen=True)
class ScratchCluster:
    """A proof's scratch cluster that exists, and why it should be gone (empty: its proof may be going on)."""

    name: str
    why_it_should_be_gone: str


def newest_backup_is_recent(bases: Sequence[BaseBackup] | Unseen, watch: Watch, now: datetime) -> Check:
    """Whether the newest base backup that Barman finished is younger than its limit, by the store and not by the Backup objects."""
    if isinstance(bases, Unseen):
        return _unseen(BACKUP_RECENT, bases)
    done = finished(bases)
    newest = done[-1] if done else None
    if newest is None or newest.ended is None:
        unfinished = f"; {len(bases)} that Barman did not finish" if bases else ""
        return Check(BACKUP_RECENT, False, f"the store has no finished base backup{unfinished}", metadata={"finished backups": 0})
    facts: dict[str, Fact] = {"backup id": newest.backup_id, "finished backups": len(done), "size in bytes": newest.bytes}
    return _by_age(BACKUP_RECENT, newest.ended, now, watch.backup_warn_seconds, watch.backup_error_seconds, "base backup", facts)


def finished(bases: Sequence[BaseBackup]) -> list[BaseBackup]:
    """Those that Barman finished and that say when they ended, oldest first."""
    ended = {base: base.ended for base in bases if base.status == DONE and base.ended is not None}
    return sorted(ended, key=lambda base: ended[base])


def newest_proof_is_recent(newest: Proof | Unseen | None, watch: Watch, now: datetime) -> Check:
    """Whether a restore of a backup gave back the same rows lately."""
    if isinstance(newest, Unseen):
        return _unseen(PROOF_RECENT, newest)
    if newest is None:
        return Check(PROOF_RECENT, False, "no backup of it was ever proven; materialise this asset")
    facts: dict[str, Fact] = {"backup": newest.backup, "rows": newest.rows, "tables": newest.tables}
    return _by_age(PROOF_RECENT, newest.proven_at, now, watch.proof_warn_seconds, watch.proof_error_seconds, "proof", facts)


def restored_rows_are_equal(newest: Compared | Unseen | None, backup: datetime | Unseen | None, watch: Watch) -> Check:
    """What the newest proof that compared anything found, and whether what it found is still about backups like the newest one.

    `backup`: when the newest base backup ended; None where that was not asked.
    """
    if isinstance(newest, Unseen):
        return _unseen(ROWS_EQUAL, newest)
    if newest is None:
        return Check(ROWS_EQUAL, False, "nothing was compared yet; materialise this asset", metadata={"rows": 0, "tables": 0})
    facts: dict[str, Fact] = {
        "backup": newest.backup,
        "compared at": Timestamp(newest.at),
        "rows": newest.rows,
        "tables": newest.tables,
        "LSN": newest.lsn,
        "run": Link(f"/runs/{newest.run_id}"),
    }
    told = f"Backup {newest.backup}, compared at {newest.at:%Y-%m-%d %H:%M %Z}: {newest.reason}"
    if newest.outcome != "proven":
        if newest.different:
            facts["tables that differ"] = Table([{"table": table} for table in newest.different])
        return Check(ROWS_EQUAL, False, told, metadata=facts)
    if isinstance(backup, Unseen):
        return Check(ROWS_EQUAL, False, f"{told}. How much newer the newest backup is, is unknown: {backup.why}", "WARN", facts)
    later = (backup - newest.at).total_seconds() if backup else 0.0
    facts["newest backup later by hours"] = round(max(0.0, later) / 3600, 2)
    for seconds, severity in ((watch.proof_error_seconds, "ERROR"), (watch.proof_warn_seconds, "WARN")):
        if later > seconds:
            much = f"the newest backup is {later / 3600:.0f} h younger than that, more than {seconds / 3600:.0f} h"
            return Check(ROWS_EQUAL, False, f"{told}; but {much}", "ERROR" if severity == "ERROR" else "WARN", facts)
    return Check(ROWS_EQUAL, True, told, metadata=facts)


def wal_is_archived(archive: Archive | Unseen, watch: Watch) -> Check:
    """Whether what is committed reaches the store: the archiver does not fail, its last segment is there, and it is not behind for long.

    For how long is told by the server's clock alone, which stamps both ends of it.
    """
    if isinstance(archive, Unseen):
        return _unseen(WAL_ARCHIVED, archive)
    status = archive.status
    facts: dict[str, Fact] = {"archived": status.archived_count, "failures": status.failed_count}
    if status.last_archived_wal:
        facts["last archived"] = status.last_archived_wal
    if status.last_archived_time:
        facts["seconds since the last"] = round((status.asked_at - status.last_archived_time).total_seconds(), 1)
    problem = _archive_problem(archive, watch)
    return Check(WAL_ARCHIVED, not problem, problem or f"{status.last_archived_wal} is in the store and nothing waits", metadata=facts)


def no_scratch_cluster_is_left(clusters: Sequence[ScratchCluster] | Unseen) -> Check:
    """Whether every scratch cluster that exists belongs to a proof that may still be going on."""
    if isinstance(clusters, Unseen):
        return _unseen(NO_SCRATCH, clusters, "WARN")
    left = [f"{cluster.name}: {cluster.why_it_should_be_gone}" for cluster in clusters if cluster.why_it_should_be_gone]
    facts: dict[str, Fact] = {"left": len(left), "in use": len(clusters) - len(left)}
    if left:
        return Check(NO_SCRATCH, False, f"{'; '.join(left)}. Launch sweep_scratch_clusters.", "WARN", facts)
    return Check(NO_SCRATCH, True, f"none is left; {len(clusters)} in use", "WARN", facts)


def why_no_backup_is_due(bases: Sequence[BaseBackup] | Unseen, timetable: Timetable, now: datetime) -> str:
    """Why a scheduled backup may be left out: a finished one is young enough. Empty if one is due, and also where that is not known."""
    if isinstance(bases, Unseen):
        return ""
    # one that ends in the future says that a clock is wrong, and nothing of its age
    finished = [base.ended for base in bases if base.status == DONE and base.ended is not None]
    ended = max((moment for moment in finished if moment - now <= CLOCK_SKEW), default=None)
    if ended is None or now - ended >= timedelta(seconds=timetable.backup_not_within_seconds):
        return ""
    old, due = (now - ended).total_seconds() / 3600, timetable.backup_not_within_seconds / 3600
    return f"a completed backup is {old:.1f} h old; the next is due when it is {due:.0f} h old"


def _archive_problem(archive: Archive, watch: Watch) -> str:
    status = archive.status
    if status.archive_mode == "off":
        return "archive_mode is off: nothing is archived at all"
    if status.failing:
        return f"the archiver's newest attempt failed ({status.last_failed_wal}, {status.failed_count} failures in all)"
    if status.last_archived_wal is None or status.last_archived_time is None:
        return "the archiver has not archived anything since its statistics began"
    if not archive.last_is_in_store:
        return f"the archiver says that {status.last_archived_wal} is archived, and it is not in the store"
    waited = (status.asked_at - status.last_archived_time).total_seconds()
    if status.current_segment is not None and waited > watch.wal_seconds:
        if parse_wal_name(status.last_archived_wal).segment is None:
            return f"{status.last_archived_wal} is the last in the archive, for {waited:.0f} s, and holds no WAL"
        # One segment behind is the one being written; on a quiet server it may stay so for ever.
        after = position_key(next_segment(status.last_archived_wal[:24], status.segment_size))
        if position_key(status.current_segment) > after:
            return (
                f"{status.current_segment} is being written and {status.last_archived_wal} is the last in the archive, for {waited:.0f} s"
            )
    return ""


def _by_age(name: str, at: datetime, now: datetime, warn: int, error: int, what: str, facts: dict[str, Fact]) -> Check:
    age = now - at
    seconds = age.total_seconds()
    shown = {**facts, "at": Timestamp(at), "age in hours": round(seconds / 3600, 2)}
    if age < -CLOCK_SKEW:
        return Check(name, False, f"the newest {what} is {-age} in the future: one of the clocks is wrong", metadata=shown)
    told = f"the newest {what} is {seconds / 3600:.1f} h old"
    if seconds > error:
        return Check(name, False, f"{told}, more than {error / 3600:.0f} h", "ERROR", shown)
    if seconds > warn:
        return Check(name, False, f"{told}, more than {warn / 3600:.0f} h", "WARN", shown)
    return Check(name, True, told, metadata=shown)


def _unseen(name: str, unseen: Unseen, severity: str = "ERROR") -> Check:
    return Check(name, False, f"unknown: {unseen.why}", "WARN" if severity == "WARN" else "ERROR")
