"""One exact WAL position of a database that is being written to, and the snapshot that sees what was committed before it.

Creating a logical replication slot exports a snapshot that contains exactly the transactions committed before the slot's consistent point.
The same point is a recovery target, so what the snapshot sees and what a restore to the point holds must be equal.
The slot is temporary: it ends with its connection and holds no WAL back afterwards.
"""

from __future__ import annotations

import re
import secrets
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg
from psycopg import pq

from gsv_ops.database.lsn import parse_lsn
from gsv_ops.database.session import Connection, DatabaseError, Endpoint, connect, meaning, translate

CANCEL_SECONDS = 5.0
COMMAND_SECONDS = 20.0
SLOT_NAME_LENGTH = 63
SYNTAX_WITH_OPTIONS = 150000

ROOM = """
    select current_setting('wal_level'), pg_is_in_recovery(),
           current_setting('max_replication_slots')::int, (select count(*) from pg_replication_slots),
           current_setting('max_wal_senders')::int, (select count(*) from pg_stat_activity where backend_type = 'walsender')
"""
# Only a transaction with a transaction id holds the slot up, and only one that was open before the slot was asked for: the writers that
# come and go meanwhile are not to blame. Whoever the slot waits for right now is named also where its details are hidden from the role.
BLOCKERS = """
    select 'pid ' || pid, usename, datname, application_name, state, extract(epoch from clock_timestamp() - xact_start)::float8
      from pg_stat_activity
     where pid <> %(slot_pid)s and (pid = any(pg_blocking_pids(%(slot_pid)s))
           or backend_xid is not null and xact_start < clock_timestamp() - make_interval(secs => %(waited)s))
    union all
    select 'prepared transaction ' || quote_literal(gid), owner, database, null, 'prepared',
           extract(epoch from clock_timestamp() - prepared)::float8
      from pg_prepared_xacts where prepared < clock_timestamp() - make_interval(secs => %(waited)s)
    order by 6 desc nulls last limit 20
"""


@dataclass(frozen=True, slots=True)
class Blocker:
    """A transaction that was open before the slot was asked for. `who` is "pid 123" or "prepared transaction 'gid'"; age in seconds."""

    who: str
    user: str | None
    database: str | None
    application: str | None
    state: str | None
    age: float | None

    def __str__(self) -> str:
        age = "of unknown age" if self.age is None else f"open for {self.age:.0f} s"
        application = f", application {self.application}" if self.application else ""
        return f"{self.who} (user {self.user}, database {self.database}{application}, {self.state or 'state hidden'}) {age}"


class Inconclusive(DatabaseError):
    """No exact fingerprint can be had now, which says nothing about the data; the message is the reason and how to mend it."""

    def __init__(self, message: str, blockers: tuple[Blocker, ...] = ()) -> None:
        super().__init__("; ".join([message, *map(str, blockers)]))
        self.blockers = blockers


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """Which history a server belongs to: its system identifier, and the timeline it is on."""

    system_identifier: str
    timeline: int


@dataclass(frozen=True, slots=True)
class ConsistentPoint:
    """The position (None: of a database that stands still), the history it lies in, and the name of the snapshot to import."""

    lsn: int | None
    identity: SystemIdentity
    snapshot: str


@contextmanager
def consistent_point(endpoint: Endpoint, *, run_key: str, wait_seconds: float, hold_seconds: float) -> Iterator[ConsistentPoint]:
    """A consistent point of a primary; its snapshot can be imported until the block is left, hold_seconds at most.

    The slot waits for every transaction that is open when it is asked for, in any database and prepared ones too. After wait_seconds the
    wait is given up and Inconclusive names them. Raises Inconclusive, Forbidden, Unreachable, LoginRefused, TimedOut.
    """
    with connect(endpoint, application_name="gsv_ops watch") as watch:
        _refuse_without_room(watch)
        # The server waits for those transactions as for a lock: its own timeout must not come before ours, which can name them.
        with connect(
            endpoint,
            replication=True,
            application_name="gsv_ops slot",
            lock_timeout=wait_seconds + CANCEL_SECONDS + COMMAND_SECONDS,
            idle_in_transaction_timeout=hold_seconds,
        ) as slot:
            identity = identify_system(slot)
            lsn, snapshot = _create_slot(slot, watch, slot_name(run_key), wait_seconds)
            yield ConsistentPoint(lsn, identity, snapshot)


def slot_name(run_key: str) -> str:
    """A slot name of at most 63 characters that shows the run and is never given twice."""
    readable = re.sub(r"[^a-z0-9]+", "_", run_key.lower()).strip("_")
    # Random, because the slot of a run that was killed lives until the server notices: its next attempt must not collide with it.
    suffix = "_" + secrets.token_hex(4)
    return f"gsv_{readable}"[: SLOT_NAME_LENGTH - len(suffix)].rstrip("_") + suffix


def identify_system(replication: Connection) -> SystemIdentity:
    """The server's identity, asked over a replication connection."""
    result = _command(replication, b"IDENTIFY_SYSTEM", COMMAND_SECONDS)
    if result is None:
        raise Inconclusive(f"the server did not identify itself within {COMMAND_SECONDS:.0f} s")
    return SystemIdentity(_text(result, 0), int(_text(result, 1)))


def _refuse_without_room(watch: Connection) -> None:
    with meaning("looking for a free replication slot"):
        row = watch.execute(ROOM).fetchone()
    assert row is not None
    wal_level, in_recovery, slots, slots_used, senders, senders_used = row
    if in_recovery:
        raise Inconclusive("the server is a standby; a consistent point is taken on the primary")
    if wal_level != "logical":
        raise Inconclusive(f"wal_level is {wal_level}; expected logical (CloudNativePG's default). It takes a restart to change")
    for name, most, used in (("max_replication_slots", slots, slots_used), ("max_wal_senders", senders, senders_used)):
        assert isinstance(most, int)
        assert isinstance(used, int)
        if used >= most:
            raise Inconclusive(f"all {most} of {name} are in use; raise {name} or free one")


def _create_slot(slot: Connection, watch: Connection, name: str, wait_seconds: float) -> tuple[int, str]:
    modern = slot.info.server_version >= SYNTAX_WITH_OPTIONS
    export = "(SNAPSHOT 'export')" if modern else "EXPORT_SNAPSHOT"
    began = time.monotonic()
    try:
        result = _command(slot, f"CREATE_REPLICATION_SLOT {name} TEMPORARY LOGICAL pgoutput {export}".encode(), wait_seconds)
        if result is not None:
            return parse_lsn(_text(result, 1)), _text(result, 2)
        # Asked while the slot still waits: afterwards nobody could say for whom.
        blockers = _blockers(watch, slot.info.backend_pid, time.monotonic() - began)
    except BaseException:
        _give_up(slot)
        raise
    _give_up(slot)
    raise Inconclusive(f"no consistent point within {wait_seconds:g} s: transactions open since before must end first", blockers)


def _blockers(watch: Connection, slot_pid: int, waited: float) -> tuple[Blocker, ...]:
    with meaning("asking which transactions hold the slot up", "membership of pg_monitor"):
        rows = watch.execute(BLOCKERS, {"slot_pid": slot_pid, "waited": waited}).fetchall()
    return tuple(Blocker(*row) for row in rows)


def _give_up(slot: Connection) -> None:
    # A server process that waits for a lock does not notice a closed connection: without the cancel the slot would stay.
    with suppress(psycopg.Error):
        slot.cancel_safe(timeout=CANCEL_SECONDS)
        _result(slot.pgconn, time.monotonic() + CANCEL_SECONDS)


def _command(connection: Connection, command: bytes, seconds: float) -> pq.abc.PGresult | None:
    """The command's result, or None when there is none after so many seconds; the command still runs then."""
    name = command.decode()
    deadline = time.monotonic() + seconds
    with meaning(name):
        connection.pgconn.send_query(command)
        result = _result(connection.pgconn, deadline)
    if result is not None and result.status != pq.ExecStatus.TUPLES_OK:
        code = (result.error_field(pq.DiagnosticField.SQLSTATE) or b"").decode() or None
        message = (result.error_field(pq.DiagnosticField.MESSAGE_PRIMARY) or b"no reason given").decode("utf-8", "replace")
        raise translate(code, message, name, "the REPLICATION attribute")
    return result


def _result(pgconn: pq.abc.PGconn, deadline: float) -> pq.abc.PGresult | None:
    # The library's own wait has no deadline, and the server's statement_timeout does not cover replication commands.
    poll = select.poll()
    poll.register(pgconn.socket, select.POLLIN)
    first: pq.abc.PGresult | None = None
    while True:
        while pgconn.is_busy():
            left = deadline - time.monotonic()
            if left <= 0:
                return None
            if poll.poll(min(left, 1.0) * 1000):
                pgconn.consume_input()
        result = pgconn.get_result()
        if result is None:
            return first
        first = first or result


def _text(result: pq.abc.PGresult, column: int) -> str:
    value = result.get_value(0, column)
    if value is None:
        raise psycopg.DataError(f"the server left column {column} of its answer empty")
    return value.decode()
