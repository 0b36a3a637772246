"""Takes the fingerprint of a backup's source, keeps it as a record, and sees to it that a restore can reach its position.

Shared by the backup, which takes one right after it, and by the proof of a backup that has none yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gsv_ops.database import archived, fingerprint, names
from gsv_ops.database.archived import Stretch
from gsv_ops.database.barman_store import BarmanStore
from gsv_ops.database.consistent_point import Inconclusive
from gsv_ops.database.lsn import segment_ending_at
from gsv_ops.database.record import Fingerprint
from gsv_ops.database.session import Connection, Endpoint, Forbidden
from gsv_ops.database.wal import archiver_status, emit_and_switch_wal
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk
from gsv_ops.platform.spec import Database

FOLDER = "fingerprints"
NOT_ARCHIVED = "the WAL past its fingerprint was never seen in the object store"
MOST_ATTEMPTS = 2
"""A table that is rewritten while it is read is unread; it is read once more, not for ever."""


@dataclass(frozen=True)
class Source:
    """The primary of a database as one operation speaks to it, and the store its WAL goes to."""

    desk: Desk
    database: Database
    cluster: Object
    endpoint: Endpoint
    session: Connection
    store: BarmanStore


def record_name(database: Database, backup: Object) -> str:
    """The name of the record that holds a Backup's fingerprint, or why there is none."""
    return record_of(database, objects.uid(backup))


def record_of(database: Database, backup_uid: str) -> str:
    """The same, by the Backup's uid: the object itself may be gone."""
    return f"{FOLDER}/{names.folder(database)}/{backup_uid}"


def kept(record: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """The fingerprint in a record, if a restore can reach it; None where there is none, or its WAL never was in the store."""
    return record.get("fingerprint") if record and record.get("archived", True) else None


def limits(database: Database) -> fingerprint.Limits:
    """What a fingerprint of this database may cost."""
    return fingerprint.Limits(
        slot_seconds=database.fingerprint.slot_seconds,
        total_seconds=database.fingerprint.total_seconds,
        bytes=database.fingerprint.budget_bytes,
        connections=database.fingerprint.connections,
    )


def take(source: Source, backup: Object, run_key: str, *, late: bool = False) -> dict[str, Any]:
    """Read every row at one WAL position of now and keep it as the Backup's; a summary, with an empty `record` where there is none.

    `late`: it is not taken with the backup, and whoever compares with it says so. One that is there is never replaced by none.
    """
    record = record_name(source.database, backup)
    about = {"backup": objects.name(backup), "backup_id": backup["status"]["backupId"], "late": late}
    try:
        taken = _read(source, run_key)
    except Inconclusive as problem:
        source.desk.log(f"no fingerprint: {problem}")
        if not (source.desk.records.read(record) or {}).get("fingerprint"):
            source.desk.records.write(record, {**about, "fingerprint": None, "problem": str(problem)})
        return {"record": "", "problem": str(problem)}
    body = taken.to_json()
    source.desk.records.write(record, {**about, "fingerprint": body, "problem": NOT_ARCHIVED, "archived": False})
    source.desk.log(f"fingerprint at {body['lsn']}: {taken.rows} rows in {len(taken.tables)} tables, {taken.seconds:.1f} s")
    unread = "; ".join(f"{o.object}: {o.reason}" for o in taken.unread)
    return {
        "record": record,
        "problem": f"not read: {unread}" if unread else "",
        "lsn": body["lsn"],
        "timeline": taken.timeline,
        "system_identifier": taken.system_identifier,
        "tables": len(taken.tables),
        "rows": taken.rows,
        "bytes": taken.bytes,
        "seconds": taken.seconds,
        "not_compared": [{"object": o.object, "reason": o.reason} for o in taken.not_compared],
    }


def archive_to_end(source: Source, status: Mapping[str, Any], name: str) -> float:
    """Close the segment being written and wait until the WAL to the Backup's end is in the store; seconds. Raises NotArchived."""
    close_segment(source)
    return _wait(source, Stretch(status["beginWal"], status["endWal"], f"the WAL to the end of Backup {name}"))


def archive_past(source: Source, begin: str, taken: Mapping[str, Any]) -> tuple[str, float]:
    """Close the segment being written and wait until everything from `begin` to it is in the store; its name, and the seconds.

    Only then does the fingerprint that was taken count: a restore could not reach its position before. Raises NotArchived.
    """
    last = close_segment(source, taken["timeline"])
    seconds = _wait(source, Stretch(begin, last, f"the WAL past the fingerprint at {taken['lsn']}"))
    source.desk.records.write(taken["record"], {**(source.desk.records.read(taken["record"]) or {}), "problem": "", "archived": True})
    return last, seconds


def close_segment(source: Source, timeline: int | None = None) -> str:
    """Make the primary archive what it has written so far; the last segment that must be in the store.

    Where the role may not do that, archive_timeout does it later: the grant that is missing is told, and the wait is longer.
    """
    status = archiver_status(source.session)
    try:
        end = emit_and_switch_wal(source.session)
    except Forbidden as problem:
        source.desk.log(f"{problem}; waiting for archive_timeout instead")
        assert status.current_segment is not None  # only a standby has none
        return status.current_segment
    return segment_ending_at(end, timeline or status.timeline, status.segment_size)


def _read(source: Source, run_key: str) -> Fingerprint:
    for attempt in range(1, MOST_ATTEMPTS + 1):
        taken = fingerprint.take_at_consistent_point(source.endpoint, run_key=run_key, limits=limits(source.database))
        if not taken.unread or attempt == MOST_ATTEMPTS:
            break
        source.desk.log(f"{', '.join(o.object for o in taken.unread[:5])} could not be read whole; reading once more")
    return taken


def _wait(source: Source, stretch: Stretch) -> float:
    size = archiver_status(source.session).segment_size
    seconds = archived.wait(source.desk, source.store, source.session, stretch, size, source.database.backup.archive_seconds)
    source.desk.log(f"{stretch.what} is in the store ({seconds:.1f} s)")
    return seconds
