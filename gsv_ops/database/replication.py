"""How the instances of a cluster follow its primary: what the primary says of each standby, and what each standby says of itself.

A lag in seconds is measured, not read: how long it takes a standby to have applied what the primary had written when it was asked. The
server's own `replay_lag` stands still where nothing is replayed any more, and the age of the last replayed commit grows where nobody
writes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gsv_ops.database.lsn import format_lsn, parse_lsn
from gsv_ops.database.session import Connection, QueryFailed, meaning

STREAMING = "streaming"
PAUSED = ("pause requested", "paused")
POLL_SECONDS = 0.1

STANDBYS = """
    with here as (select pg_current_wal_lsn() as lsn)
    select application_name, coalesce(state, 'unknown'), coalesce(sync_state, 'unknown'),
           pg_wal_lsn_diff(lsn, coalesce(flush_lsn, '0/0'))::bigint, pg_wal_lsn_diff(lsn, coalesce(replay_lsn, '0/0'))::bigint
      from here, pg_stat_replication order by application_name
"""
PLACE = """
    select pg_current_wal_lsn()::text, ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int
     where not pg_is_in_recovery()
"""
REPLAYED = """
    select pg_last_wal_replay_lsn() >= %s::pg_lsn, pg_get_wal_replay_pause_state(),
           extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp())::float8
     where pg_is_in_recovery()
"""


@dataclass(frozen=True)
class Standby:
    """One standby as its primary sees it. behind_bytes: not safe on its disk yet; unapplied_bytes: not visible there yet."""

    name: str
    state: str
    sync_state: str
    behind_bytes: int
    unapplied_bytes: int


@dataclass(frozen=True)
class Primary:
    """The primary's place in the history, and its standbys by their names. position: what it had written when asked."""

    position: int
    timeline: int
    standbys: dict[str, Standby]


@dataclass(frozen=True)
class Replay:
    """What a standby says of itself. seconds: until it had applied the position asked for; `at_least` if it had not by then."""

    seconds: float
    at_least: bool
    paused: bool


def primary(session: Connection) -> Primary:
    """The primary's word. Raises QueryFailed where the server is a standby, and the session's errors."""
    with meaning("asking the primary for its standbys", "membership of pg_monitor"):
        place = session.execute(PLACE).fetchone()
        if place is None:
            raise QueryFailed("the server is a standby and not the primary", None)
        rows = session.execute(STANDBYS).fetchall()
    return Primary(parse_lsn(place[0]), int(place[1]), {row[0]: Standby(*row) for row in rows})


def position(session: Connection) -> int:
    """What the primary has written now. Raises QueryFailed where the server is a standby, and the session's errors."""
    with meaning("asking the primary for its place"):
        place = session.execute(PLACE).fetchone()
    if place is None:
        raise QueryFailed("the server is a standby and not the primary", None)
    return parse_lsn(place[0])


def replay(session: Connection, position: int, most: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> Replay:
    """How long the standby takes to have applied `position`, asked for `most` seconds. Raises QueryFailed where it is no standby."""
    begun = monotonic()
    while True:
        with meaning("asking the standby for its place"):
            row = session.execute(REPLAYED, [format_lsn(position)]).fetchone()
        if row is None:
            raise QueryFailed("the server is a primary and not a standby", None)
        applied, state, since_commit = row
        waited, paused = monotonic() - begun, state in PAUSED
        if applied:
            return Replay(waited, at_least=False, paused=paused)
        if waited >= most or paused:
            return Replay(max(waited, since_commit or 0.0), at_least=True, paused=paused)
        sleep(POLL_SECONDS)
