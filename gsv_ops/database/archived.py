"""Waits until WAL is really archived: the object store has the last word, the server's archiver says why it is not there yet."""

from __future__ import annotations

from dataclasses import dataclass

from gsv_ops.database import wal_needed
from gsv_ops.database.barman_store import BarmanStore
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
    """Seconds until every segment of the stretch was in the store. Raises NotArchived after `seconds`, with the archiver's own word."""
    begun = desk.monotonic()
    while missing := wal_needed.missing(store, stretch.first, stretch.last, segment_size):
        waited = desk.monotonic() - begun
        if waited > seconds:
            raise NotArchived(
                f"{stretch.what} is not in the object store after {waited:.0f} s: {len(missing)} segments are missing, "
                f"the first is {missing[0]}. {_archivers_word(session)}"
            )
        desk.sleep(POLL_SECONDS)
    return desk.monotonic() - begun


def _archivers_word(session: Connection) -> str:
    try:
        status = archiver_status(session)
    except DatabaseError as problem:
        return f"The archiver could not be asked why: {problem}."
    failing = f"; its newest attempt failed ({status.last_failed_wal}, {status.failed_count} failures)" if status.failing else ""
    return f"The archiver last archived {status.last_archived_wal or 'nothing'}{failing}."
