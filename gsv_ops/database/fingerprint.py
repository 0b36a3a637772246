"""The fingerprint of one database: what every row, sequence, large object and definition of it comes to, exact at one WAL position.

Taken on a primary while it is written to (`take_at_consistent_point`), and on a quiet restored database (`take`), it is what a proof of a
backup compares. Readers run in parallel on one snapshot, largest table first, each table in a transaction of its own. They take little:
a few connections, no parallel workers, small work_mem; and the snapshot, which holds back vacuum, ends at the deadline whatever happens.

A relation is in exactly one of three places: `tables`, `not_compared` with the reason it cannot be, or `unread` with what went wrong.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import psycopg
from psycopg import sql

from gsv_ops.database.catalog import read_parts
from gsv_ops.database.consistent_point import ConsistentPoint, Inconclusive, consistent_point, identify_system
from gsv_ops.database.digest import (
    Relation,
    TableDigest,
    Unread,
    large_object_bytes,
    list_relations,
    read_large_objects,
    read_table,
)
from gsv_ops.database.record import Fingerprint, Omission
from gsv_ops.database.sequences import (
    Position,
    Sequence,
    SequenceState,
    list_sequences,
    read_furthest,
    read_position,
    state,
    went_backward,
)
from gsv_ops.database.session import (
    Connection,
    DatabaseError,
    Endpoint,
    Forbidden,
    QueryFailed,
    TimedOut,
    connect,
    import_snapshot,
    meaning,
    milliseconds,
)

__all__ = ["Fingerprint", "Inconclusive", "Limits", "Omission", "take", "take_at_consistent_point"]

GIB = 1024**3
# Time for the holder of the snapshot to end after the readers' deadline, before the server ends it by itself.
GRACE_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a fingerprint may cost the database; beyond any of it the answer is Inconclusive.

    slot_seconds: for the consistent point, while other transactions end. total_seconds: for everything, and so for the snapshot's life.
    bytes: on disk, summed over the compared tables. connections: readers at once. lock_seconds: per table, behind an exclusive lock.
    """

    slot_seconds: float = 60
    total_seconds: float = 15 * 60
    bytes: int = 50 * GIB
    connections: int = 4
    lock_seconds: float = 10

    def __post_init__(self) -> None:
        if min(self.slot_seconds, self.total_seconds, self.bytes, self.connections, self.lock_seconds) <= 0:
            raise ValueError(f"not limits: {self}; every one must be more than 0")


def take_at_consistent_point(endpoint: Endpoint, *, run_key: str, limits: Limits = Limits()) -> Fingerprint:
    """The fingerprint of a primary's database at a WAL position (`lsn`), exact however much it is written to meanwhile.

    A restore to that position, exclusive, on the same timeline, must give an equal one. run_key names the run in the slot's name.
    Needs LOGIN, REPLICATION, pg_read_all_data and pg_monitor, and BYPASSRLS where a table has row-level security.
    Raises Inconclusive with the reason, or the session's errors.
    """
    clock = _Clock(limits)
    # Read first: a sequence shows where it stands now, so only what it shows before the point is certain to be restored.
    with clock.connect(endpoint) as connection:
        first: dict[str, Position] = {}
        for sequence in (each for each in list_sequences(connection) if each.not_compared is None):
            with suppress(Forbidden, QueryFailed, TimedOut):  # it is read again later, and unread if that fails too
                first[sequence.name] = read_position(connection, sequence)
    with consistent_point(
        endpoint, run_key=run_key, wait_seconds=min(limits.slot_seconds, clock.left()), hold_seconds=limits.total_seconds + GRACE_SECONDS
    ) as point:
        return _read(endpoint, limits, clock, point, first)


def take(endpoint: Endpoint, *, limits: Limits = Limits()) -> Fingerprint:
    """The fingerprint of a database that nobody writes to, as a restored one; its `lsn` is None.

    Raises Inconclusive while the server is still in recovery, or the session's errors.
    """
    clock = _Clock(limits)
    with ExitStack() as stack:
        holder = stack.enter_context(connect(endpoint, idle_in_transaction_timeout=limits.total_seconds + GRACE_SECONDS))
        with meaning("asking whether the recovery is over"):
            if holder.execute("select pg_is_in_recovery()").fetchone() != (False,):
                raise Inconclusive("the server is still in recovery; its rows are not final")
        with connect(endpoint, replication=True) as replication:
            identity = identify_system(replication)
        with meaning("exporting a snapshot"):
            stack.enter_context(holder.transaction())
            holder.execute("set transaction isolation level repeatable read, read only")
            row = holder.execute("select pg_export_snapshot()").fetchone()
        assert row is not None
        return _read(endpoint, limits, clock, ConsistentPoint(None, identity, str(row[0])), None)


class _Clock:
    """The time left of the whole; connections opened through it cannot outlast it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._began = time.monotonic()
        self.taken_at = datetime.now(UTC)

    def elapsed(self) -> float:
        return time.monotonic() - self._began

    def over(self) -> bool:
        return self.elapsed() >= self._limits.total_seconds

    def left(self) -> float:
        left = self._limits.total_seconds - self.elapsed()
        if left <= 0:
            raise Inconclusive(f"not done within {self._limits.total_seconds:g} s")
        return left

    @contextmanager
    def connect(self, endpoint: Endpoint) -> Iterator[Connection]:
        left = self.left()
        connection = connect(
            endpoint,
            statement_timeout=left,
            lock_timeout=min(self._limits.lock_seconds, left),
            idle_in_transaction_timeout=left + GRACE_SECONDS,
        )
        with connection:
            with meaning("limiting the session"):
                connection.execute("set max_parallel_workers_per_gather = 0; set work_mem = '4MB'")
            yield connection

    def renew(self, connection: Connection) -> None:
        """Lets the connection's next statements take no longer than is left of the whole."""
        with meaning("limiting the session"):
            connection.execute(sql.SQL("set statement_timeout = {}").format(sql.Literal(milliseconds(self.left()))))


def _read(
    endpoint: Endpoint,
    limits: Limits,
    clock: _Clock,
    point: ConsistentPoint,
    first: Mapping[str, Position] | None,
) -> Fingerprint:
    with clock.connect(endpoint) as connection:
        with meaning("reading the catalog"), connection.transaction():
            import_snapshot(connection, point.snapshot)
            relations, sequences = list_relations(connection), list_sequences(connection)
            size = sum(r.bytes for r in relations) + large_object_bytes(connection)
        if size > limits.bytes:
            raise Inconclusive(f"the tables to compare take {size} bytes on disk; the limit is {limits.bytes}")
        schema, missing = read_parts(connection, point.snapshot)
        tables, unread = _read_tables(endpoint, limits, clock, point.snapshot, relations)
        clock.renew(connection)
        with meaning("reading large objects"), connection.transaction():
            import_snapshot(connection, point.snapshot)
            large_objects, hidden = read_large_objects(connection)
        states = {}
        for sequence in sequences:
            if sequence.not_compared is None:
                try:
                    states[sequence.name] = _read_sequence(connection, point.snapshot, sequence, first)
                except (Unread, DatabaseError) as error:
                    unread[sequence.name] = str(error)
        clock.renew(connection)
        changed = {f"schema: {part}": why for part, why in missing.items()} | _changed_since(connection, schema)
        # A reader that the deadline stopped left its table unread; that is the deadline's doing and not the table's.
        clock.left()
        compared: list[Relation | Sequence] = [*relations, *sequences]
        not_compared = [Omission(it.name, it.not_compared) for it in compared if it.not_compared is not None]
        if hidden is not None:
            not_compared.append(Omission("the content of large objects", hidden))
        return Fingerprint(
            lsn=point.lsn,
            timeline=point.identity.timeline,
            system_identifier=point.identity.system_identifier,
            server_version=connection.info.server_version,
            database=endpoint.database,
            taken_at=clock.taken_at,
            seconds=round(clock.elapsed(), 3),
            tables=dict(sorted(tables.items())),
            sequences=states,
            large_objects=large_objects,
            schema=schema,
            not_compared=tuple(not_compared),
            unread=tuple(Omission(*it) for it in sorted({**unread, **changed}.items())),
        )


def _read_tables(
    endpoint: Endpoint, limits: Limits, clock: _Clock, snapshot: str, relations: list[Relation]
) -> tuple[dict[str, TableDigest], dict[str, str]]:
    compared = sorted((r for r in relations if r.not_compared is None), key=lambda r: r.bytes, reverse=True)
    waiting: queue.SimpleQueue[Relation] = queue.SimpleQueue()
    for relation in compared:
        waiting.put(relation)
    tables: dict[str, TableDigest] = {}
    unread: dict[str, str] = {}
    stop, readers = threading.Event(), list[Connection]()

    def work() -> None:
        with clock.connect(endpoint) as connection:
            readers.append(connection)
            while not stop.is_set() and not clock.over():
                try:
                    relation = waiting.get_nowait()
                except queue.Empty:
                    return
                try:
                    tables[relation.name] = read_table(connection, snapshot, relation, milliseconds(clock.left()))
                except Unread as error:
                    unread[relation.name] = str(error)

    with ThreadPoolExecutor(limits.connections, "gsv_ops reader") as pool:
        working = [pool.submit(work) for _ in range(min(limits.connections, len(compared)))]
        try:
            for each in working:
                each.result()
        except BaseException:
            # One reader failed, or the run is cancelled: what the others are reading is of no use any more.
            stop.set()
            for connection in list(readers):
                with suppress(psycopg.Error):
                    connection.cancel_safe(timeout=GRACE_SECONDS)
            raise
    if clock.over():
        raise Inconclusive(f"only {len(tables)} of {len(compared)} tables could be read within {limits.total_seconds:g} s")
    return tables, unread


def _read_sequence(connection: Connection, snapshot: str, sequence: Sequence, first: Mapping[str, Position] | None) -> SequenceState:
    with meaning(f"reading sequence {sequence.name}"), connection.transaction():
        import_snapshot(connection, snapshot)
        furthest = read_furthest(connection, sequence)
    last = read_position(connection, sequence)
    if first is None:
        return state(sequence, last, last, furthest)
    if sequence.name not in first:
        raise Unread("it was made while the fingerprint was taken")
    if went_backward(sequence, first[sequence.name], last):
        raise Unread("it was set back while the fingerprint was taken")
    return state(sequence, first[sequence.name], last, furthest)


def _changed_since(connection: Connection, schema: Mapping[str, str]) -> dict[str, str]:
    # PostgreSQL writes definitions (and the names of enum values) by the catalog of the moment, not by the snapshot's: a part
    # is exact only if it is the same before and after everything was read.
    now, unread = read_parts(connection, None)
    moved = {part: "it was changed while the fingerprint was taken" for part in now if schema.get(part) != now[part]}
    return {f"schema: {part}": reason for part, reason in {**unread, **moved}.items()}
