"""The consistent point: what it waits for, what it says when it waited too long, and that it leaves nothing behind. On a real server."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing

import pytest

from gsv_ops.database.consistent_point import Inconclusive, consistent_point, slot_name
from gsv_ops.database.digest import TableDigest, read_large_objects
from gsv_ops.database.fingerprint import Limits, take, take_at_consistent_point
from gsv_ops.database.session import Connection, Forbidden, connect, import_snapshot
from gsv_ops_tests import postgres_server
from gsv_ops_tests.unit.database.conftest import CANARY, DESK_ROLE, Database, desk

MakeDatabase = Callable[..., Database]
LEFT = """select (select count(*) from pg_replication_slots),
                 (select count(*) from pg_stat_activity where application_name like 'gsv_ops%')"""


def assert_nothing_left(database: Database) -> None:
    deadline = time.monotonic() + 5
    while (left := database.run(LEFT)) != [(0, 0)]:
        assert time.monotonic() < deadline, f"slots and sessions left: {left}"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("run_key", "begins"),
    [("prove_backup", "gsv_prove_backup_"), ("A/b-C 9", "gsv_a_b_c_9_"), ("", "gsv_"), ("ä" * 100, "gsv_"), ("x" * 200, "gsv_" + "x" * 50)],
)
def test_a_slot_s_name_shows_its_run_and_is_allowed(run_key: str, begins: str) -> None:
    name = slot_name(run_key)
    assert name.startswith(begins)
    assert len(name) <= 63
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")
    assert slot_name(run_key) != name


@pytest.mark.postgres
def test_the_snapshot_sees_what_was_committed_before_and_nothing_after(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select 1 v")
    with consistent_point(database.endpoint, run_key="r", wait_seconds=20, hold_seconds=20) as point:
        database.run("insert into t values (2)")
        with closing(connect(database.endpoint)) as reader, reader.transaction():
            import_snapshot(reader, point.snapshot)
            assert reader.execute("select v from public.t").fetchall() == [(1,)]
        assert point.lsn is not None
        assert database.run(f"select pg_current_wal_lsn() - '0/0'::pg_lsn >= {point.lsn}") == [(True,)]
        (identity,) = database.run("select system_identifier::text, timeline_id from pg_control_system(), pg_control_checkpoint()")
        assert (point.identity.system_identifier, point.identity.timeline) == identity
    assert_nothing_left(database)


@pytest.mark.postgres
def test_at_rest_both_ways_of_taking_a_fingerprint_agree(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select g, md5(g::text) from generate_series(1, 1000) g", "create sequence s")
    exact, quiet = take_at_consistent_point(database.endpoint, run_key="run"), take(database.endpoint)
    assert exact.tables == quiet.tables
    assert exact.tables["public.t"].rows == 1000
    assert exact.schema == quiet.schema
    assert exact.lsn is not None
    assert_nothing_left(database)


@pytest.mark.postgres
def test_an_old_transaction_is_named_within_the_deadline(make_database: MakeDatabase) -> None:
    database, elsewhere = make_database("create table t (v int)"), make_database("create table t (v int)")
    with elsewhere.connect() as session, session.transaction():
        session.execute("set application_name = 'nightly report'")
        session.execute("insert into t values (1)")
        pid = session.info.backend_pid
        began = time.monotonic()
        with pytest.raises(Inconclusive) as inconclusive:
            take_at_consistent_point(database.endpoint, run_key="run", limits=Limits(slot_seconds=1.5))
        assert 1.4 < time.monotonic() - began < 5
        (blocker,) = inconclusive.value.blockers
        assert (blocker.who, blocker.user, blocker.database) == (f"pid {pid}", "postgres", elsewhere.endpoint.database)
        assert (blocker.application, blocker.state) == ("nightly report", "idle in transaction")
        assert blocker.age is not None
        assert blocker.age >= 1.5
        assert f"pid {pid} (user postgres, database {elsewhere.endpoint.database}" in str(inconclusive.value)
        assert CANARY not in str(inconclusive.value)
        # the blocker still runs, and yet the slot that waited for it is gone
        assert_nothing_left(database)
    assert take_at_consistent_point(database.endpoint, run_key="run").tables["public.t"] == TableDigest(0, 0, 0, 0)


@pytest.mark.postgres
def test_a_prepared_transaction_is_named(make_database: MakeDatabase) -> None:
    database = make_database("create table t (v int)")
    database.run("begin", "insert into t values (1)", "prepare transaction 'it''s forgotten'")
    try:
        with pytest.raises(Inconclusive) as inconclusive:
            take_at_consistent_point(database.endpoint, run_key="run", limits=Limits(slot_seconds=1))
        (blocker,) = inconclusive.value.blockers
        assert (blocker.who, blocker.user, blocker.state) == ("prepared transaction 'it''s forgotten'", "postgres", "prepared")
    finally:
        database.run("rollback prepared 'it''s forgotten'")
    assert_nothing_left(database)


@pytest.mark.postgres
def test_writers_that_come_and_go_are_not_blamed(make_database: MakeDatabase) -> None:
    database = make_database("create table t (v int)")
    over = threading.Event()

    def write() -> None:
        with database.connect() as session:
            while not over.is_set():
                with session.transaction():
                    session.execute("insert into t values (1)")
                    time.sleep(0.01)

    writer = threading.Thread(target=write)
    with database.connect() as session, session.transaction():
        session.execute("insert into t values (1)")
        writer.start()
        try:
            with pytest.raises(Inconclusive) as inconclusive:
                take_at_consistent_point(database.endpoint, run_key="run", limits=Limits(slot_seconds=1))
        finally:
            over.set()
            writer.join(10)
        assert [it.who for it in inconclusive.value.blockers] == [f"pid {session.info.backend_pid}"]


@pytest.mark.postgres
def test_a_transaction_that_only_read_holds_nothing_up(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select 1 v")
    with database.connect() as session, session.transaction():
        session.execute("select * from t")
        assert take_at_consistent_point(database.endpoint, run_key="run", limits=Limits(slot_seconds=5)).rows == 1


@pytest.mark.postgres
def test_without_a_free_slot_it_says_so(make_database: MakeDatabase) -> None:
    database = make_database()
    names = [f"taken_{i}" for i in range(10)]
    try:
        for name in names:
            database.run(f"select pg_create_physical_replication_slot('{name}')")
        with pytest.raises(Inconclusive, match="all 10 of max_replication_slots are in use"):
            take_at_consistent_point(database.endpoint, run_key="run")
    finally:
        for name in names:
            database.run(f"select pg_drop_replication_slot('{name}')")


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("parameters", "problem"),
    [({"wal_level": "replica"}, "wal_level is replica; expected logical")],
)
def test_a_server_that_cannot_is_told_why(parameters: dict[str, str], problem: str) -> None:
    with postgres_server.server(parameters) as superuser:
        database = desk(superuser, "postgres")
        database.run(*DESK_ROLE)
        with pytest.raises(Inconclusive, match=problem):
            take_at_consistent_point(database.endpoint, run_key="run")


@pytest.mark.postgres
def test_without_the_replication_attribute_it_is_forbidden(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select 1 v", "create role reader login", "grant pg_read_all_data to reader")
    try:
        with pytest.raises(Forbidden, match='ALTER ROLE "reader" REPLICATION'):
            take_at_consistent_point(database.as_role("reader"), run_key="run")
    finally:
        database.run("drop role reader")


class Cancelled(BaseException):
    """As an orchestrator interrupts a step: from outside of what we catch."""


@pytest.fixture
def cancelled_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for a reader is interrupted after 0.3 seconds."""
    waited = Future.result

    def interrupted(self: "Future[object]", timeout: float | None = None) -> object:
        try:
            return waited(self, 0.3)
        except TimeoutError:
            raise Cancelled from None

    monkeypatch.setattr(Future, "result", interrupted)


@pytest.mark.postgres
@pytest.mark.usefixtures("cancelled_soon")
def test_a_cancelled_run_leaves_nothing(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select g, repeat('x', 200) v from generate_series(1, 1500000) g")
    with pytest.raises(Cancelled):
        take_at_consistent_point(database.endpoint, run_key="run", limits=Limits(connections=2))
    assert_nothing_left(database)


@pytest.mark.postgres
@pytest.mark.usefixtures("cancelled_soon")
def test_a_cancelled_run_does_not_wait_for_what_its_readers_wait_for(make_database: MakeDatabase) -> None:
    database = make_database("create table t as select 1 v", "create table u as select 1 v")
    with database.connect() as session, session.transaction():
        session.execute("lock table t in access exclusive mode")
        began = time.monotonic()
        with pytest.raises(Cancelled):
            take(database.endpoint, limits=Limits(lock_seconds=8))
        assert time.monotonic() - began < 5
        assert_nothing_left(database)


@pytest.mark.postgres
def test_a_schema_that_changes_meanwhile_is_unread_in_that_part(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database = make_database("create table t as select 1 v")

    def read_while_somebody_alters(connection: Connection) -> object:
        database.run("create view v as select 1 as one")
        return read_large_objects(connection)

    monkeypatch.setattr("gsv_ops.database.fingerprint.read_large_objects", read_while_somebody_alters)
    unread = {it.object for it in take_at_consistent_point(database.endpoint, run_key="run").unread}
    assert unread == {"schema: columns", "schema: relations", "schema: views"}


@pytest.mark.postgres
def test_a_sequence_set_back_meanwhile_is_unread(make_database: MakeDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    database = make_database("create table t as select 1 v", "create sequence s", "select setval('s', 50)")

    def read_while_somebody_sets_it_back(connection: Connection) -> object:
        database.run("select setval('s', 3)")
        return read_large_objects(connection)

    monkeypatch.setattr("gsv_ops.database.fingerprint.read_large_objects", read_while_somebody_sets_it_back)
    found = take_at_consistent_point(database.endpoint, run_key="run")
    assert [it.object for it in found.unread] == ["public.s"]
    assert "public.s" not in found.sequences
