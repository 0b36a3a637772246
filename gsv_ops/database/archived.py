"""Waits until WAL is really archived: the object store has the last word, the server's archiver says why it is not there yet."""

from __future__ import annotations

from dataclasses import dataclass

from gsv_ops.database import wal_needed
from gsv_ops.database.barman_store import BarmanStore, StoreUnreadable
from gsv_ops.database.lsn import parse_wal_name
from gsv_ops.database.session import Connection, DatabaseError
from gsv_ops.database.wal import archiver_status
from gsv_ops.operations.operation import Desk, OperationFailed

POLL_SECONDS = 1.0


class NotArchived(OperationFailed):
    """WAL that a restore needs is not in the store; whatever needs it does not count."""


@dataclass(frozen=True)
class Stretch:
    """A stretch of WAL, by its first and its last segment, and what it is needed for."""

    first: str
    last: str
    what: str


def wait(desk: Desk, store: BarmanStore, session: Connection, stretch: Stretch, segment_size: int, seconds: float) -> float:
    """Seconds until every segment of the stretch was in the store. Raises NotArchived after `seconds`, with the archiver's own word.

    A store that does not answer may be back in time; StoreUnreadable is raised when it is not.
    """
    begun = desk.monotonic()
    away = ""
    while True:
        try:
            missing = wal_needed.missing(store, stretch.first, stretch.last, segment_size)
        except StoreUnreadable as problem:
            if not away:
                desk.log(f"waiting for the object store to answer: {problem}")
            missing, away = None, str(problem)
        if missing == []:
            return desk.monotonic() - begun
        waited = desk.monotonic() - begun
        if waited > seconds and missing is None:
            raise StoreUnreadable(f"whether {stretch.what} is archived could not be seen for {waited:.0f} s: {away}")
        if waited > seconds and missing:
            raise NotArchived(
                f"{stretch.what} is not in the object store after {waited:.0f} s: {len(missing)} segments are missing, "
                f"the first is {missing[0]}. {_archivers_word(session, stretch)}"
            )
        desk.sleep(POLL_SECONDS)


def _archivers_word(session: Connection, stretch: Stretch) -> str:
    try:
        status = archiver_status(session)
    except DatabaseError as problem:
        return f"The archiver could not be asked why: {problem}."
    failing = f"; its newest attempt failed ({status.last_failed_wal}, {status.failed_count} failures)" if status.failing else ""
    told = f"The archiver last archived {status.last_archived_wal or 'nothing'}{failing}."
    left, now = parse_wal_name(stretch.last).timeline, status.timeline
    if now > left:
        # the pod that wrote the end of the old timeline archives it when it is back, if it ever is
        told += f" A failover began timeline {now} before the end of timeline {left} was archived; take another backup."
    return told
