"""The heartbeat: whether a row a minute is written through the front door, and how old the newest is that a loss of everything would leave.

A row says when it was written and where the log stood just before. Its commit lies after that position and before the next row's, which
was written later: so a row counts as archived once the log up to the row after it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from gsv_ops.database.backup.execute import endpoint_of
from gsv_ops.database.conditions import CLOCK_SKEW, Archive, Unseen
from gsv_ops.database.lsn import format_lsn, parse_wal_name, segment_start
from gsv_ops.database.session import Connection, Endpoint, QueryFailed, meaning
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Check, Desk, Fact, OperationFailed, Severity
from gsv_ops.platform import spec
from gsv_ops.platform.spec import Database

WRITTEN = "heartbeat_is_written"
RECOVERY_POINT = "recovery_point_is_recent"
LOOK = "look at the heartbeat's CronJob, beside the database, and at the log of its newest Job"

ROWS = """
    select clock_timestamp(), count(*), max(at), max(at) filter (where before_lsn <= %s::pg_lsn)
      from (select at, lead(lsn) over (order by at) as before_lsn
              from public.heartbeat where at > clock_timestamp() - interval '1 day') rows
"""


@dataclass(frozen=True)
class Heartbeats:
    """The rows of the last day: when they were looked at (the server's clock, as all times here), the newest, the newest archived one.

    why_unknown: why it cannot be said how far the archive reaches; then `archived` is None.
    """

    asked_at: datetime
    rows: int
    newest: datetime | None
    archived: datetime | None
    why_unknown: str = ""


def of(database: Database) -> spec.Heartbeat:
    """What platform.yaml says of it. Raises OperationFailed where it says nothing."""
    if database.heartbeat is None:
        raise OperationFailed(
            f"platform.yaml has no `heartbeat` for Cluster {database.cluster}; expected its database, where deploy/gitops has one"
        )
    return database.heartbeat


@contextmanager
def endpoint(desk: Desk, database: Database, cluster: Object) -> Iterator[Endpoint]:
    """The heartbeat's database on the cluster's primary, for the desk's own role."""
    with endpoint_of(desk, database, cluster) as found:
        yield replace(found, database=of(database).database)


def read(session: Connection, archive: Archive) -> Heartbeats:
    """What the table says, held against how far the archive reaches."""
    end, why = archived_to(archive)
    with meaning("reading public.heartbeat", "membership of pg_read_all_data"):
        row = session.execute(ROWS, [format_lsn(end)]).fetchone()
    if row is None:
        raise QueryFailed("public.heartbeat gave no answer", None)
    asked_at, rows, newest, archived = row
    return Heartbeats(asked_at, rows, newest, None if why else archived, why)


def archived_to(archive: Archive) -> tuple[int, str]:
    """The position to which the server's log is in the store, or 0 and why that is not known."""
    status = archive.status
    if status.last_archived_wal is None:
        return 0, "the archiver has archived nothing since its statistics began"
    last = parse_wal_name(status.last_archived_wal)
    if not archive.last_is_in_store:
        return 0, f"the archiver says that {last.name} is archived, and it is not in the store"
    if last.segment is None or last.timeline != status.timeline:
        return 0, f"{last.name} is the last in the archive: of timeline {status.timeline} no segment is there yet"
    start = segment_start(last.segment, status.segment_size)
    # a .backup label, and a .partial, only say that the segments before are there
    return (start + status.segment_size if last.kind == "segment" else start), ""


def is_written(seen: Heartbeats | Unseen, limits: spec.Heartbeat) -> Check:
    """Whether the newest row is young enough."""
    if isinstance(seen, Unseen):
        return Check(WRITTEN, False, f"unknown: {seen.why}")
    facts: dict[str, Fact] = {"rows of the last day": seen.rows}
    if seen.newest is None:
        return Check(WRITTEN, False, f"no row was written within a day; {LOOK}", metadata=facts)
    return _by_age(WRITTEN, "heartbeat", seen.asked_at, seen.newest, (limits.warn_seconds, limits.error_seconds), LOOK, facts)


def recovery_point_is_recent(seen: Heartbeats | Unseen, limits: spec.Heartbeat) -> Check:
    """Whether the newest row in the archive is young enough: the measured RPO, plotted."""
    if isinstance(seen, Unseen):
        return Check(RECOVERY_POINT, False, f"unknown: {seen.why}")
    if seen.why_unknown:
        # that archiving fails is told by wal_is_archived, in red; on a new timeline the first segment takes until archive_timeout
        return Check(RECOVERY_POINT, False, f"unknown: {seen.why_unknown}", "WARN")
    if seen.archived is None:
        return Check(RECOVERY_POINT, False, "no heartbeat of the last day is in the archive")
    limit = (limits.archived_warn_seconds, limits.archived_error_seconds)
    return _by_age(RECOVERY_POINT, "archived heartbeat", seen.asked_at, seen.archived, limit, "wal_is_archived says why", {})


def _by_age(name: str, what: str, now: datetime, at: datetime, limits: tuple[int, int], hint: str, facts: dict[str, Fact]) -> Check:
    seconds = round((now - at).total_seconds(), 1)
    warn, error = limits
    shown = {**facts, f"seconds since the newest {what}": seconds}
    if at - now > CLOCK_SKEW:
        # as after a failover to a server whose clock is behind: until then nobody would see that nothing is written any more
        return Check(
            name, False, f"the newest {what} is {-seconds:.0f} s in the future: one of the servers' clocks is wrong", metadata=shown
        )
    told = f"the newest {what} is {seconds:.0f} s old"
    if seconds <= warn:
        return Check(name, True, told, metadata=shown)
    severity: Severity = "ERROR" if seconds > error else "WARN"
    over = error if seconds > error else warn
    return Check(name, False, f"{told}, more than {over} s; {hint}", severity, shown)
