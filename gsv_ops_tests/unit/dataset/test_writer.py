"""The writer keeps its rate, its bounds and its word: what was acknowledged is in the database."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from gsv_sandbox import dataset, writer
from gsv_sandbox.writer import Settings, Tally, WriterError

from gsv_ops_tests.unit.dataset.conftest import SMALL, Database

pytestmark = pytest.mark.postgres


class Writing:
    """A writer in a thread; `tally` is there once it was stopped, `error` if it ended by itself."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.stop, self.lines = threading.Event(), list[str]()
        self.tally, self.error = Tally(), None
        self._thread = threading.Thread(target=self._run, args=(database, settings))
        self._thread.start()

    def _run(self, database: Database, settings: Settings) -> None:
        try:
            self.tally = writer.write(database, settings, self.stop, self.lines.append)
        except WriterError as error:
            self.error = error

    def end(self) -> None:
        self.stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive(), "the writer did not stop within 30 s"


@contextmanager
def writing(database: Database, settings: Settings) -> Iterator[Writing]:
    running = Writing(database, settings)
    try:
        yield running
    finally:
        running.end()


def value(database: Database, query: str) -> object:
    with psycopg.connect(**database) as connection:
        row = connection.execute(query).fetchone()
        return row[0] if row else None


def eventually(what: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, f"not so within {seconds} s"
        time.sleep(0.05)


def newest(database: Database) -> int:
    if value(database, "select to_regclass('gsv_writer.commits') is null"):
        return 0
    return int(str(value(database, "select coalesce(max(number), 0) from gsv_writer.commits")))


def test_it_keeps_its_rate(written: Database) -> None:
    began = time.monotonic()
    with writing(written, Settings(rate=60)) as running:
        time.sleep(4)
    rate = running.tally.statements / (time.monotonic() - began)
    assert 40 <= rate <= 70


def test_it_changes_several_tables_and_takes_nothing_that_is_not_its_own(postgres: Database, written: Database) -> None:
    with writing(written, Settings(rate=5000)):
        eventually(lambda: newest(written) > 300)
    with psycopg.connect(**{**postgres, "dbname": written["dbname"]}) as connection:
        for table, expected in dataset.expected_counts(SMALL).items():
            row = connection.execute(f"select count(*) from {table}").fetchone()
            assert row is not None
            assert row[0] >= expected, table
    for query in (
        "select count(*) > 0 from registry.invocations where id < 0",
        "select count(*) > 0 from registry.audit_log where actor = 'gsv_writer'",
        "select count(*) > 0 from registry.deployments where updated_at > now() - interval '1 minute'",
        "select count(*) > 0 from registry.tickets where title like 'Written %'",
        "select count(*) > 0 from registry.users where last_seen_at > now() - interval '1 minute'",
        "select count(*) > 0 from registry.heartbeats where node = 'gsv_writer'",
        'select sum("Net Amount") > 0 from "Billing Data"."Invoice ""Lines""" where "Net Amount" <> "Line No" * 1.0001',
    ):
        assert value(written, query) is True, query


def test_its_tables_stay_bounded_and_trimming_loses_nothing(written: Database, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with writing(written, Settings(rate=10_000, ledger=ledger, rows_kept=20, commits_kept=60)) as running:
        eventually(lambda: newest(written) > 600)
    assert running.error is None
    slack = writer.TRIM_EVERY
    assert int(str(value(written, "select count(*) from registry.invocations where id < 0"))) <= 20 + slack
    assert int(str(value(written, "select count(*) from registry.audit_log where actor = 'gsv_writer'"))) <= 20 + slack
    assert int(str(value(written, "select count(*) from registry.tickets where title like 'Written %'"))) <= 20 + slack
    assert int(str(value(written, "select count(*) from registry.heartbeats where node = 'gsv_writer'"))) <= 20 + slack
    assert int(str(value(written, "select count(*) from gsv_writer.commits"))) <= 60 + slack
    assert len(ledger.read_text().split()) > 500
    assert writer.lost(written, ledger) == []


def test_a_commit_that_is_gone_is_found(written: Database, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    with writing(written, Settings(rate=5000, ledger=ledger)):
        eventually(lambda: newest(written) > 50)
    assert writer.lost(written, ledger) == []
    with psycopg.connect(**written) as connection:
        connection.execute("delete from gsv_writer.commits where number in (17, 30)")
    assert writer.lost(written, ledger) == [17, 30]


def test_it_goes_on_after_its_database_was_away(postgres: Database, written: Database, tmp_path: Path) -> None:
    ledger, name = tmp_path / "ledger", written["dbname"]
    with writing(written, Settings(rate=500, ledger=ledger)) as running:
        eventually(lambda: newest(written) > 20)
        with psycopg.connect(**postgres, autocommit=True) as superuser:
            superuser.execute(f"alter database {name} allow_connections false")
            superuser.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", (name,))
            time.sleep(2)
            superuser.execute(f"alter database {name} allow_connections true")
        back = newest(written)
        eventually(lambda: newest(written) > back + 20)
    assert running.error is None
    assert running.tally.reconnects == 1
    assert any("was not acknowledged" in line for line in running.lines)
    assert any("connected after" in line for line in running.lines)
    assert writer.lost(written, ledger) == []


def test_a_new_writer_goes_on_where_the_last_one_ended(written: Database, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    for _ in range(2):
        before = newest(written)
        with writing(written, Settings(rate=5000, ledger=ledger)):
            eventually(lambda before=before: newest(written) > before + 30)
    numbers = [int(line) for line in ledger.read_text().split()]
    assert numbers == sorted(set(numbers))


def test_without_a_connection_it_gives_up(seeded: Database, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(WriterError, match=r"no connection for \d+ s"):
        writer.write({**seeded, "host": str(tmp_path)}, Settings(give_up_seconds=1), threading.Event())
    assert time.monotonic() - began < 10


def test_a_database_without_the_dataset_is_refused(empty_database: Callable[[], Database]) -> None:
    with pytest.raises(WriterError, match="holds no agent_registry dataset"):
        writer.write(empty_database(), Settings(), threading.Event())


def test_a_ledger_cut_off_in_a_line_is_still_read(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    ledger.write_text("1\n2\n31")
    assert writer.Ledger.read(ledger) == [1, 2]
    opened = writer.Ledger(ledger)
    opened.add(32)
    opened.close()
    assert writer.Ledger.read(ledger) == [1, 2, 32]


def test_as_a_program_it_ends_on_sigterm(written: Database) -> None:
    names = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "dbname": "PGDATABASE", "password": "PGPASSWORD"}
    environment = {**os.environ, **{variable: str(written[name]) for name, variable in names.items()}}
    program = subprocess.Popen(
        [sys.executable, "-m", "gsv_sandbox.writer", "--rate", "100"], env=environment, stdout=subprocess.PIPE, text=True
    )
    try:
        eventually(lambda: newest(written) > 5)
        program.send_signal(signal.SIGTERM)
        said, _ = program.communicate(timeout=20)
    finally:
        program.kill()
    assert program.returncode == 0
    assert said.startswith("writer: stopped after ")
