"""Holds a restored cluster's heartbeats against the source's, each asked on its primary as it is now."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from gsv_ops.database import access, ended, heartbeat, source
from gsv_ops.database.heartbeats_kept import End, Kept, Row, compare, newest, since
from gsv_ops.database.lsn import format_lsn
from gsv_ops.database.session import Connection, DatabaseError, connect
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.platform.spec import Database

T = TypeVar("T")


def compared(desk: Desk, origin: Database, restored: Database, end: End, timeline: int) -> Kept:
    """Whether those of before the end are there, and none of after it. `timeline`: the one that was followed.

    Raises KubeError, DatabaseError and OperationFailed where the restored cluster cannot be asked.
    """
    rows = asked(desk, restored, newest)
    if rows is None:
        return Kept("unknown", "it has no heartbeat: the database was older than that, or it is lost")
    try:
        expected = _expected(desk, origin, rows, end, timeline)
    except (KubeError, OperationFailed, DatabaseError) as problem:
        desk.log(f"the source's heartbeats could not be read: {problem}")
        expected = None
    return compare(expected, rows, end)


def asked(desk: Desk, database: Database, ask: Callable[[Connection], T]) -> T:
    """What is told in the heartbeat's database, on the primary as it is now."""

    def look() -> T:
        cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
        with heartbeat.endpoint(desk, database, cluster) as endpoint, connect(endpoint) as session:
            return ask(session)

    return access.again(desk, f"asking for the heartbeats of {database.cluster}", look)


def _expected(desk: Desk, origin: Database, rows: Sequence[Row], end: End, timeline: int) -> list[Row] | None:
    """The source's own heartbeats, where its log goes on from the restored one's end; None where it does not."""

    def read(session: Connection) -> list[Row] | None:
        now = archiver_status(session).timeline
        if now != timeline:
            pod = source.primary(desk.kube.get(POSTGRES_CLUSTER, origin.cluster, origin.namespace))
            before = ended.history(desk.kube, origin.namespace, pod, now)
            if not any(left.timeline == timeline and end.lsn <= left.lsn for left in before):
                desk.log(f"the source is on timeline {now}, which does not go on from timeline {timeline} at {format_lsn(end.lsn)}")
                return None
        return since(session, rows[0].at) if rows else newest(session)

    return asked(desk, origin, read)
