"""Closing the WAL segment being written, and how far the server says its archiver has come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.pq import TransactionStatus

from gsv_ops.database.lsn import parse_lsn, parse_wal_name, position_key
from gsv_ops.database.session import Connection, Forbidden, QueryFailed, meaning

MESSAGE_PREFIX = "gsv_ops"
MESSAGE_FUNCTION = "pg_catalog.pg_logical_emit_message(boolean, text, text)"
SWITCH_FUNCTION = "pg_catalog.pg_switch_wal()"

STATUS = """
    select archived_count, last_archived_wal, last_archived_time, failed_count, last_failed_wal, last_failed_time, stats_reset,
           current_setting('archive_mode'), pg_is_in_recovery(), pg_size_bytes(current_setting('wal_segment_size')), clock_timestamp(),
           (select timeline_id from pg_control_checkpoint()),
           case when not pg_is_in_recovery() then pg_walfile_name(pg_current_wal_insert_lsn()) end
      from pg_stat_archiver
"""


@dataclass(frozen=True, slots=True)
class ArchiverStatus:
    """What pg_stat_archiver says, and of which server. It is the server's word: the object store has the last one.

    Times are aware. segment_size in bytes. timeline: the one being written, on a standby that of its last checkpoint. current_segment:
    the one being written, None on a standby. asked_at: the server's clock.
    """

    archived_count: int
    last_archived_wal: str | None
    last_archived_time: datetime | None
    failed_count: int
    last_failed_wal: str | None
    last_failed_time: datetime | None
    stats_reset: datetime | None
    archive_mode: str
    in_recovery: bool
    segment_size: int
    asked_at: datetime
    timeline: int
    current_segment: str | None

    @property
    def failing(self) -> bool:
        """Whether the newest attempt failed."""
        if self.last_failed_time is None:
            return False
        return self.last_archived_time is None or self.last_failed_time > self.last_archived_time

    def covers(self, segment: str) -> bool:
        """Whether the archiver has put this segment, or a later one of the same timeline, into the archive.

        False where the last archived file is no full segment (a history, .backup or .partial file): unknown is not good.
        """
        if self.last_archived_wal is None:
            return False
        last = parse_wal_name(self.last_archived_wal)
        wanted = parse_wal_name(segment)
        if last.kind != "segment" or last.timeline != wanted.timeline:
            return False
        return position_key(last.name) >= position_key(segment)


def emit_and_switch_wal(connection: Connection) -> int:
    """Commits a message to the WAL and closes the segment it is in; the position where that segment's content ends.

    What was committed before lies before it: wait for `segment_ending_at(lsn, ...)` to be archived. The message makes sure that there is
    a commit after a recovery target even on a server nobody writes to.
    Raises Forbidden with the GRANT statements that mend it (they count in this database only), or the session's other errors.
    """
    if connection.info.transaction_status != TransactionStatus.IDLE or not connection.autocommit:
        raise ValueError("the WAL is switched outside of a transaction, on an autocommit connection: the message must be committed first")
    grants = _missing_grants(connection)
    if grants:
        raise Forbidden(f"{connection.info.user} may not switch the WAL in database {connection.info.dbname}", grants)
    with meaning("writing a message to the WAL"):
        connection.execute("select pg_logical_emit_message(true, %s, '')", [MESSAGE_PREFIX])
    with meaning("switching the WAL"):
        row = connection.execute("select pg_switch_wal()::text").fetchone()
    if row is None:
        raise QueryFailed("switching the WAL gave no position", None)
    return parse_lsn(str(row[0]))


def archiver_status(connection: Connection) -> ArchiverStatus:
    """The archiver's counters and the server's place in its history, at one moment."""
    with meaning("asking the archiver's status", "membership of pg_monitor"):
        row = connection.execute(STATUS).fetchone()
    if row is None:
        raise QueryFailed("pg_stat_archiver is empty", None)
    *_, checkpoint_timeline, current = row
    timeline = checkpoint_timeline if current is None else parse_wal_name(str(current)).timeline
    return ArchiverStatus(*(*row[:-2], timeline, current))


def _missing_grants(connection: Connection) -> str:
    # Asked first, so that nothing is half done: a message written and no switch.
    query = """select f, has_function_privilege(f, 'execute'), quote_ident(session_user) from unnest(%s::text[]) f"""
    with meaning("asking for the right to switch the WAL"):
        rows = connection.execute(query, [[MESSAGE_FUNCTION, SWITCH_FUNCTION]]).fetchall()
    return "; ".join(f"GRANT EXECUTE ON FUNCTION {function} TO {role}" for function, may, role in rows if not may)
