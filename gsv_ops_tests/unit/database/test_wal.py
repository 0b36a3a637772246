"""Switching the WAL, and the archiver's own word about how far it is. On a real server."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gsv_ops.database.lsn import segment_ending_at
from gsv_ops.database.session import Forbidden, connect
from gsv_ops.database.wal import ArchiverStatus, archiver_status, emit_and_switch_wal
from gsv_ops_tests import postgres_server
from gsv_ops_tests.unit.database.conftest import DESK_ROLE, Database, desk

MakeDatabase = Callable[..., Database]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
STATUS = ArchiverStatus(
    archived_count=7, last_archived_wal="000000010000000000000007", last_archived_time=NOON, failed_count=0, last_failed_wal=None,
    last_failed_time=None, stats_reset=NOON, archive_mode="on", in_recovery=False, segment_size=1 << 24, asked_at=NOON, timeline=1,
    current_segment="000000010000000000000008",
)  # fmt: skip


@pytest.fixture
def archive() -> Iterator[Path]:
    """A folder that the server's account may write to."""
    folder = Path(tempfile.mkdtemp(prefix="gsv-archive-"))
    try:
        shutil.chown(folder, postgres_server.ACCOUNT)
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("last", "segment", "covers"),
    [
        ("000000010000000000000007", "000000010000000000000007", True),
        ("000000010000000000000007", "000000010000000000000006", True),
        ("000000010000000000000007", "000000010000000000000008", False),
        ("0000000100000001000000FF", "000000010000000200000000", False),
        ("000000020000000000000009", "000000010000000000000007", False),  # another timeline proves nothing about this one
        ("00000002.history", "000000010000000000000001", False),
        ("000000010000000000000007.00000028.backup", "000000010000000000000007", False),
        ("000000010000000000000007.partial", "000000010000000000000007", False),
        (None, "000000010000000000000001", False),
    ],
)
def test_a_segment_is_covered_only_by_a_full_one_of_its_timeline(last: str | None, segment: str, covers: bool) -> None:
    assert replace(STATUS, last_archived_wal=last).covers(segment) is covers


@pytest.mark.parametrize(
    ("archived", "failed", "failing"),
    [
        (NOON, None, False),
        (NOON, NOON.replace(hour=13), True),
        (NOON, NOON.replace(hour=11), False),
        (None, NOON, True),
        (None, None, False),
    ],
)
def test_failing_is_what_the_newest_attempt_did(archived: datetime | None, failed: datetime | None, failing: bool) -> None:
    assert replace(STATUS, last_archived_time=archived, last_failed_time=failed).failing is failing


@pytest.mark.postgres
def test_without_the_grant_it_is_forbidden_nothing_is_done_and_the_grant_mends_it(make_database: MakeDatabase) -> None:
    database = make_database('create role "Odd Role" login')
    try:
        endpoint = database.as_role("Odd Role")
        with closing(connect(endpoint)) as connection:
            before = database.run("select pg_current_wal_insert_lsn()")
            with pytest.raises(Forbidden) as forbidden:
                emit_and_switch_wal(connection)
            assert forbidden.value.privilege == 'GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO "Odd Role"'
            assert f"in database {endpoint.database}" in str(forbidden.value)
            assert database.run("select pg_current_wal_insert_lsn()") == before
            database.run(*forbidden.value.privilege.split("; "))
            assert emit_and_switch_wal(connection) > 0
    finally:
        database.run('drop owned by "Odd Role"', 'drop role "Odd Role"')


@pytest.mark.postgres
def test_both_grants_are_named_where_both_are_missing(make_database: MakeDatabase) -> None:
    database = make_database("revoke execute on function pg_logical_emit_message(boolean, text, text) from public")
    with closing(connect(database.endpoint)) as connection, pytest.raises(Forbidden) as forbidden:
        emit_and_switch_wal(connection)
    assert forbidden.value.privilege.count("GRANT EXECUTE ON FUNCTION") == 2
    database.run(*forbidden.value.privilege.split("; "))
    with closing(connect(database.endpoint)) as connection:
        assert emit_and_switch_wal(connection) > 0


@pytest.mark.postgres
def test_the_switch_is_refused_inside_a_transaction(make_database: MakeDatabase) -> None:
    database = make_database("grant execute on function pg_switch_wal() to gsv_ops")
    with (
        closing(connect(database.endpoint)) as connection,
        connection.transaction(),
        pytest.raises(ValueError, match="outside of a transaction"),
    ):
        emit_and_switch_wal(connection)


@pytest.mark.postgres
def test_the_switched_segment_gets_archived_and_failures_show(archive: Path) -> None:
    parameters = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f", "archive_timeout": "0"}
    with postgres_server.server(parameters) as superuser:
        database = desk(superuser, "postgres")
        database.run(*DESK_ROLE, "grant execute on function pg_switch_wal() to gsv_ops")
        with closing(connect(database.endpoint)) as connection:
            before = archiver_status(connection)
            assert (before.archive_mode, before.in_recovery, before.timeline, before.segment_size) == ("on", False, 1, 1 << 24)
            (written,) = database.run("select pg_current_wal_insert_lsn() - '0/0'::pg_lsn")[0]
            lsn = emit_and_switch_wal(connection)
            assert lsn > written
            segment = segment_ending_at(lsn, before.timeline, before.segment_size)
            assert segment == before.current_segment
            deadline = time.monotonic() + 20
            while not (status := archiver_status(connection)).covers(segment):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            assert (archive / segment).stat().st_size == 1 << 24
            assert (status.failing, status.failed_count) == (False, 0)
            assert status.last_archived_time is not None

            # twice in a row on a quiet server: the message makes it another segment
            assert emit_and_switch_wal(connection) > lsn

            archive.rename(archive.with_suffix(".gone"))
            try:
                emit_and_switch_wal(connection)
                while not (status := archiver_status(connection)).failing:
                    assert time.monotonic() < deadline
                    time.sleep(0.1)
                assert status.last_failed_wal is not None
            finally:
                archive.with_suffix(".gone").rename(archive)
