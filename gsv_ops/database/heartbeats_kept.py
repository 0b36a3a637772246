"""Whether a restored database has every heartbeat up to where its recovery ended, and none of after it.

A heartbeat's row holds the time and the position at which it was written; its commit lies after both, and before the next row, which is
only written when it is committed. So a row is certainly before a moment when the next row is, and certainly after it when it is itself:
of the one row in between nobody can tell, and nothing is claimed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal

from gsv_ops.database.goal import shown
from gsv_ops.database.lsn import format_lsn, parse_lsn
from gsv_ops.database.session import Connection, meaning

TABLE = "public.heartbeat"
MOST_ROWS = 3000
"""Two days of them."""

MOST_NAMED = 3
NEWEST = f"select at, lsn::text from {TABLE} order by at desc limit %s"  # noqa: S608  a constant
SECOND = f"select at from {TABLE} order by at offset 1 limit 1"  # noqa: S608
FROM = f"select at, lsn::text from {TABLE} where at >= %s order by at limit %s"  # noqa: S608


@dataclass(frozen=True)
class Row:
    """One heartbeat: when it was written, by the server's clock, and where the log stood just before."""

    at: datetime
    lsn: int


@dataclass(frozen=True)
class End:
    """Where a recovery ended: the position, and the time that it was to end at, if it was one."""

    lsn: int
    time: datetime | None = None

    def after(self, row: Row) -> bool:
        """Whether the row was certainly committed after it."""
        return row.lsn >= self.lsn or (self.time is not None and row.at > self.time)

    def __str__(self) -> str:
        return shown(self.time) if self.time else f"position {format_lsn(self.lsn)}"


@dataclass(frozen=True)
class Kept:
    """What comparing them gave. newest_before, first_after: the source's rows on both sides of the end, where it could be asked."""

    answer: Literal["yes", "no", "unknown"]
    found: str
    before: int = 0
    newest_before: Row | None = None
    first_after: Row | None = None


def newest(session: Connection) -> list[Row] | None:
    """The newest rows, oldest first; None where there is no such table."""
    with meaning(f"reading {TABLE}", "SELECT on it"):
        there = session.execute("select to_regclass(%s)", [TABLE]).fetchone()
        if there is None or there[0] is None:
            return None
        rows = session.execute(NEWEST, [MOST_ROWS]).fetchall()
    return [Row(at, parse_lsn(str(lsn))) for at, lsn in reversed(rows)]


def tells_from(session: Connection) -> datetime | None:
    """From when on a moment has a row that is certainly before it: since the second row. None where there are not two."""
    with meaning(f"reading {TABLE}", "SELECT on it"):
        row = session.execute(SECOND).fetchone()
    return row[0] if row else None


def since(session: Connection, at: datetime) -> list[Row]:
    """The source's rows from then on, oldest first."""
    with meaning(f"reading {TABLE}", "SELECT on it"):
        rows = session.execute(FROM, [at, 20 * MOST_ROWS]).fetchall()
    return [Row(at, parse_lsn(str(lsn))) for at, lsn in rows]


def compare(source: Sequence[Row] | None, restored: Sequence[Row], end: End) -> Kept:
    """Whether the restored rows are those that were committed before `end`. `source`: None where it cannot be asked."""
    late = [row for row in restored if end.after(row)]
    if late:
        return Kept("no", f"{len(late)} heartbeats of after {end} are there, the first of {shown(late[0].at)}")
    if source is None:
        told = f"the newest is of {shown(restored[-1].at)}" if restored else "there is none"
        return Kept("unknown", f"no heartbeat of after {end} is there, and {told}; the source cannot be asked which should be")
    expected = [row for row, following in pairwise(source) if not end.after(following)]
    there = {row.at for row in restored}
    missing = [row for row in expected if row.at not in there]
    before = [row for row in source if not end.after(row)]
    sides = (before[-1] if before else None, next((row for row in source if end.after(row)), None))
    if missing:
        named = ", ".join(shown(row.at) for row in missing[:MOST_NAMED])
        return Kept("no", f"{len(missing)} of {len(expected)} heartbeats from before {end} are missing: {named}", len(expected), *sides)
    found = f"all {len(expected)} heartbeats from before {end} are there, and none of after it"
    return Kept("yes", found, len(expected), *sides)
