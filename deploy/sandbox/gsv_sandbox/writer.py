"""Keeps changing a seeded agent_registry at a bounded rate, through switchovers, and remembers every acknowledged commit.

    PGHOST=... PGDATABASE=agent_registry PGUSER=... PGPASSFILE=... python -m gsv_sandbox.writer --rate 20 --ledger commits.txt

Every transaction takes the next number and writes it to gsv_writer.commits; once the server has acknowledged the commit, the
number goes to the ledger, a local file with one number a line. `lost` compares the two. A commit whose answer never came is in
neither claim: it may be in the database, it is not in the ledger. Ends on SIGTERM or SIGINT with exit code 0.
"""

import argparse
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psycopg

from gsv_sandbox.changes import CHANGES, SCHEMA, TRIM
from gsv_sandbox.errors import SandboxError

# A primary that vanished without a word is noticed after 10 s (user timeout, ms); a connection to a demoted one is not taken.
CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "target_session_attrs": "read-write",
    "application_name": "gsv_writer",
    "options": "-c statement_timeout=10s -c lock_timeout=5s -c idle_in_transaction_session_timeout=30s",
}
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.2, 5.0
REPORT_SECONDS = 10.0
ROLL_BACK_EVERY = 25  # one transaction in so many is rolled back, as applications do
TRIM_EVERY = 50  # transactions
ROWS_KEPT = 5_000  # of the writer's own rows, per table
COMMITS_KEPT = 200_000  # hours of them at the usual rate

Connection = psycopg.Connection[tuple[Any, ...]]


class WriterError(SandboxError):
    """The writer cannot go on: no connection for too long, or a database that does not take its statements."""


@dataclass(frozen=True)
class Settings:
    """rate in statements per second; give_up_seconds without a connection end the writer."""

    rate: float = 20.0
    ledger: Path | None = None
    give_up_seconds: float = 600.0
    rows_kept: int = ROWS_KEPT
    commits_kept: int = COMMITS_KEPT


@dataclass
class Tally:
    commits: int = 0
    statements: int = 0
    reconnects: int = 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gsv_sandbox.writer", description="Changes agent_registry until it is stopped.")
    parser.add_argument("--rate", type=float, default=20.0, help="statements per second (default 20)")
    parser.add_argument("--ledger", type=Path, help="file that gets the number of every acknowledged commit")
    parser.add_argument("--give-up", type=float, default=600.0, help="seconds without a connection that end it (default 600)")
    given = parser.parse_args(arguments)
    if not 0 < given.rate <= 10_000:
        parser.error(f"--rate is {given.rate}, expected a number above 0, up to 10000")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        tally = write({}, Settings(given.rate, given.ledger, given.give_up), stop)
    except WriterError as error:
        print(f"writer: {error}", file=sys.stderr, flush=True)
        return 1
    print(f"writer: stopped after {tally.commits} commits, {tally.reconnects} reconnects", flush=True)
    return 0


def write(connection: Mapping[str, object], settings: Settings, stop: threading.Event, say: Callable[[str], None] | None = None) -> Tally:
    """Writes until stop is set. connection: psycopg connect kwargs over the PG* environment. Raises WriterError."""
    report = say or (lambda line: print(f"writer: {line}", flush=True))
    kwargs = {**CONNECTION, **connection}
    database = _connect(kwargs, settings, stop, report)
    tally, ledger = Tally(), Ledger(settings.ledger)
    number, before = ledger.newest, Tally()
    due = told = time.monotonic()
    try:
        if database is not None:
            number = max(number, _begin(database))
        while database is not None and not stop.is_set():
            number += 1
            try:
                statements, committed = _transact(database, number, settings)
            except psycopg.Error as error:
                if not _passing(error):
                    raise WriterError(f"transaction {number} was refused: {_plain(error)}") from None
                report(f"commit {number} was not acknowledged ({_plain(error)}); connecting again")
                database.close()
                database = _connect(kwargs, settings, stop, report)
                tally.reconnects += 1
                continue
            if committed:
                ledger.add(number)
            tally.commits += committed
            tally.statements += statements
            now = time.monotonic()
            if now - told >= REPORT_SECONDS:
                rate = (tally.statements - before.statements) / (now - told)
                report(f"{tally.commits - before.commits} commits, {rate:.1f} statements/s; newest commit {number}")
                before, told = Tally(tally.commits, tally.statements), now
            # after a pause the rate stays what it is: what was missed is not made up for
            due = max(due + statements / settings.rate, now - 1.0)
            stop.wait(max(0.0, due - now))
    finally:
        if database is not None:
            database.close()
        ledger.close()
    return tally


def lost(connection: Mapping[str, object], ledger: Path) -> list[int]:
    """The acknowledged commits in the ledger that the database behind the connect kwargs does not have; ascending.

    Commits that the writer itself trimmed are not lost.
    """
    with psycopg.connect(**cast("dict[str, Any]", {"connect_timeout": 10, **connection})) as database:
        row = database.execute("select up_to from gsv_writer.trimmed").fetchone()
        present = {number for (number,) in database.execute("select number from gsv_writer.commits")}
    trimmed = row[0] if row else 0
    return sorted(number for number in Ledger.read(ledger) if number > trimmed and number not in present)


class Ledger:
    """Appends a number a line to a file, unbuffered and without fsync: it outlives the writer, not the machine."""

    def __init__(self, path: Path | None) -> None:
        self.newest = 0
        self._file: int | None = None
        if path is not None:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            # what a writer that was killed left of a line must not run into the next number
            os.truncate(self._file, path.read_bytes().rfind(b"\n") + 1)
            self.newest = max(self.read(path), default=0)

    @staticmethod
    def read(path: Path) -> list[int]:
        """The numbers in the ledger's whole lines: one that was cut off is not a number."""
        return [int(line) for line in path.read_text().rpartition("\n")[0].split()]

    def add(self, number: int) -> None:
        if self._file is not None:
            os.write(self._file, f"{number}\n".encode())

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)


def _connect(kwargs: Mapping[str, object], settings: Settings, stop: threading.Event, report: Callable[[str], None]) -> Connection | None:
    """A connection, or None when stop was set meanwhile. Raises WriterError after give_up_seconds."""
    began = time.monotonic()
    for attempt in itertools.count():
        try:
            database = psycopg.connect(**cast("dict[str, Any]", dict(kwargs)))
        except psycopg.OperationalError as error:
            waited = time.monotonic() - began
            if waited >= settings.give_up_seconds:
                raise WriterError(f"no connection for {waited:.0f} s: {_plain(error)}", "is the database up?") from None
            if stop.wait(min(FIRST_PAUSE_SECONDS * 2 ** min(attempt, 10), LONGEST_PAUSE_SECONDS)):
                return None
        else:
            if attempt:
                report(f"connected after {time.monotonic() - began:.1f} s and {attempt + 1} attempts")
            return database
    raise AssertionError("unreachable: the loop only ends by return or raise")


def _begin(database: Connection) -> int:
    """Makes the writer's own tables; the newest number that is there."""
    try:
        database.execute(SCHEMA)
        row = database.execute(
            "select greatest(coalesce(max(number), 0), (select up_to from gsv_writer.trimmed)), to_regclass('registry.seed')"
            " from gsv_writer.commits"
        ).fetchone()
        database.commit()
    except psycopg.Error as error:
        raise WriterError(f"the writer's tables could not be made: {_plain(error)}") from None
    assert row is not None, "an aggregate gives one row"
    if row[1] is None:
        raise WriterError("the database holds no agent_registry dataset", "seed it first")
    return int(row[0])


def _transact(database: Connection, number: int, settings: Settings) -> tuple[int, bool]:
    """One transaction: (statements executed, whether it was committed and acknowledged)."""
    values = {"number": number, "kept": settings.rows_kept, "commits_kept": settings.commits_kept}
    statements = list(CHANGES[number % len(CHANGES)])
    if number % TRIM_EVERY == 0:
        statements += TRIM
    statements.append("insert into gsv_writer.commits (number) values (%(number)s)")
    for statement in statements:
        database.execute(cast("Any", statement), values)
    if number % ROLL_BACK_EVERY == ROLL_BACK_EVERY - 1:
        database.rollback()
        return len(statements), False
    database.commit()
    return len(statements), True


def _passing(error: psycopg.Error) -> bool:
    """Whether it may go well on a new connection: a lost one, a shutdown, a standby, a timeout, a deadlock."""
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError | psycopg.errors.ReadOnlySqlTransaction)


def _plain(error: psycopg.Error) -> str:
    return " ".join(str(error).split())[:200]


if __name__ == "__main__":
    sys.exit(main())
