"""The claim itself: under writers, a fingerprint taken at a WAL position equals that of a restore to this position, and of no other."""

import random
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from gsv_ops.database.compare import compare
from gsv_ops.database.fingerprint import Fingerprint, take, take_at_consistent_point
from gsv_ops.database.lsn import format_lsn, segment_ending_at
from gsv_ops.database.session import connect
from gsv_ops.database.wal import archiver_status, emit_and_switch_wal
from gsv_ops_tests import postgres_server
from gsv_ops_tests.unit.database.conftest import DESK_ROLE, Database, desk

pytestmark = pytest.mark.postgres

ROWS = 200_000
WRITERS = 4
SEED = (
    f"create table account as select g as id, 1000::numeric as balance, md5(g::text) as note from generate_series(1, {ROWS}) g",
    "alter table account add primary key (id)",
    "create table transfer (id bigserial primary key, at timestamptz default clock_timestamp(), one int, other int, amount numeric)",
    "create table event (kind int, id int generated always as identity, payload jsonb) partition by list (kind)",
    "create table event_0 partition of event for values in (0)",
    "create table event_1 partition of event for values in (1)",
    "create unlogged table scratch (v int)",
    "create table guarded as select generate_series(1, 10) v",
    "alter table guarded enable row level security",
    "select lo_from_bytea(4242, 'first')",
    "create sequence tickets",
    "create materialized view total as select sum(balance) from account",
    "grant execute on function pg_switch_wal() to gsv_ops",
)


class Writers:
    """Four sessions that insert, update, delete, roll back and draw numbers, until stopped."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._write, args=[number]) for number in range(WRITERS)]
        self.committed = [0] * WRITERS

    def __enter__(self) -> "Writers":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)

    def _write(self, number: int) -> None:
        choose = random.Random(number)  # noqa: S311
        with self._database.connect() as session:
            while not self._over.is_set():
                one, other = choose.randint(1, ROWS), choose.randint(1, ROWS)
                # two that write the same page of a large object at once get an internal error, "tuple concurrently updated"
                with suppress(psycopg.errors.DeadlockDetected, psycopg.errors.InternalError_), session.transaction() as transaction:
                    session.execute("update account set balance = balance - 1 where id = %s", [one])
                    session.execute("savepoint s")
                    session.execute("update account set balance = balance + 1 where id = %s", [other])
                    session.execute("insert into transfer (one, other, amount) values (%s, %s, 1)", [one, other])
                    session.execute("insert into event values (%s, default, '{\"a\": 1}')", [one % 2])
                    session.execute("insert into scratch values (1)")
                    session.execute("select nextval('tickets')")
                    if one % 5 == 0:
                        session.execute("delete from transfer where id = (select min(id) from transfer)")
                    if one % 50 == 0:
                        session.execute("select lo_put(4242, 0, %s::bytea)", [str(one).encode()])
                    if one % 7 == 0:
                        raise psycopg.Rollback(transaction)
                self.committed[number] += 1


@contextmanager
def folder() -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="gsv-pitr-"))
    try:
        shutil.chown(made, postgres_server.ACCOUNT)
        yield made
    finally:
        shutil.rmtree(made)


def wait_until_archived(database: Database, lsn: int) -> None:
    with closing(connect(database.endpoint)) as connection:
        deadline = time.monotonic() + 60
        while not (status := archiver_status(connection)).covers(segment_ending_at(lsn, status.timeline, status.segment_size)):
            assert time.monotonic() < deadline, f"not archived in time: {status}"
            time.sleep(0.1)


@contextmanager
def restored(base: Path, archive: Path, target: int) -> Iterator[Database]:
    """A second server, recovered from the base backup to just before the target."""
    with folder() as top:
        shutil.copytree(base, top / "data", copy_function=shutil.copyfile)
        (top / "data" / "recovery.signal").touch()
        for path in (top / "data", *(top / "data").rglob("*")):
            shutil.chown(path, postgres_server.ACCOUNT)
            path.chmod(0o700 if path.is_dir() else 0o600)
        superuser: dict[str, object] = {
            "host": str(top), "port": postgres_server.free_port(), "user": postgres_server.ACCOUNT, "dbname": "postgres",
        }  # fmt: skip
        process = postgres_server.start(
            top,
            superuser,
            {
                **postgres_server.PARAMETERS,
                "restore_command": f"cp {archive}/%f %p",
                "recovery_target_lsn": format_lsn(target),
                "recovery_target_inclusive": "off",
                "recovery_target_action": "promote",
            },
        )
        try:
            database = desk(superuser, "app")
            deadline = time.monotonic() + 60
            while desk(superuser, "postgres").run("select pg_is_in_recovery()") != [(False,)]:
                assert time.monotonic() < deadline, (top / "log").read_text()[-2000:]
                time.sleep(0.1)
            yield database
        finally:
            postgres_server.stop(process)


def test_a_restore_to_the_position_is_equal_and_to_another_is_not() -> None:
    with folder() as archive, folder() as backup:
        parameters = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"}
        with postgres_server.server(parameters) as superuser:
            desk(superuser, "postgres").run(*DESK_ROLE, "create database app")
            source = desk(superuser, "app")
            source.run(*SEED)
            with Writers(source) as writers:
                base = backup / "base"
                subprocess.run(
                    postgres_server.as_postgres(
                        "pg_basebackup", "-D", base, "-X", "none", "-c", "fast", "--no-sync",
                        "-h", str(superuser["host"]), "-p", str(superuser["port"]), "-U", postgres_server.ACCOUNT,
                    ),
                    cwd=backup, check=True, capture_output=True, timeout=120,
                )  # fmt: skip
                committed = sum(writers.committed)
                taken = take_at_consistent_point(source.endpoint, run_key="test restore")
                during = sum(writers.committed) - committed
                time.sleep(0.5)
                assert taken.lsn is not None
                with closing(connect(source.endpoint)) as connection:
                    wait_until_archived(source, emit_and_switch_wal(connection))
                    later = take_at_consistent_point(source.endpoint, run_key="test restore, later")
                    assert later.lsn is not None
                    wait_until_archived(source, emit_and_switch_wal(connection))
            assert all(count > 10 for count in writers.committed)
        assert during > 0, "nobody wrote while the fingerprint was taken: this run proves nothing"
        assert taken.unread == later.unread == ()
        assert compare(taken, later).verdict == "different"

        with restored(base, archive, taken.lsn) as copy:
            found = take(copy.endpoint)
            verdict = compare(taken, found)
            assert (verdict.verdict, verdict.differences, verdict.reasons) == ("equal", (), ())
            assert verdict.rows_equal == taken.rows > ROWS
            # counted by other means than the fingerprint's
            assert copy.run("select count(*) from transfer") == [(taken.tables["public.transfer"].rows,)]
            assert found.timeline == taken.timeline + 1
            assert "public.scratch" in {it.object for it in verdict.not_compared}
            assert found.sequences["public.tickets"].next_value > taken.sequences["public.tickets"].next_value

            assert compare(later, found).verdict == "different"
            expect(copy, taken, "update account set balance = balance + 1 where id = 7", "public.account")
            expect(copy, taken, "delete from guarded where v = 10", "public.guarded", 10, 9)
            expect(copy, taken, "select setval('tickets', 1)", "public.tickets")
            expect(copy, taken, "select setval('transfer_id_seq', 1)", "public.transfer_id_seq")
            expect(copy, taken, "select lo_put(4242, 0, 'tampered')", "the content of large objects")

        with restored(base, archive, later.lsn) as copy:
            assert compare(later, take(copy.endpoint)).verdict == "equal"


def expect(copy: Database, source: Fingerprint, tampering: str, table: str, rows: int | None = None, now: int | None = None) -> None:
    """Tampering with the restored database must be found, on top of what was found before."""
    before = {it.table for it in compare(source, take(copy.endpoint)).differences}
    copy.run(tampering)
    found = compare(source, take(copy.endpoint))
    new = [it for it in found.differences if it.table not in before]
    assert found.verdict == "different"
    assert [it.table for it in new] == [table]
    if rows is not None:
        assert (new[0].source_rows, new[0].restored_rows) == (rows, now)
