"""The good conditions of a database: what turns them yellow and red, and that unknown is never good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database import conditions
from gsv_ops.database.barman_store import BaseBackup
from gsv_ops.database.conditions import Archive, ScratchCluster, Unseen
from gsv_ops.database.proofs import Compared, Proof
from gsv_ops.database.wal import ArchiverStatus
from gsv_ops.operations.operation import Check, Link, Table
from gsv_ops.platform.spec import load

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DATABASE = load(None).databases["cmp_postgres"]
WATCH, TIMES = DATABASE.watch, DATABASE.timetable
HOUR = timedelta(hours=1)
STATUS = ArchiverStatus(
    archived_count=10,
    last_archived_wal="00000001000000000000000A",
    last_archived_time=NOW - timedelta(minutes=2),
    failed_count=0,
    last_failed_wal=None,
    last_failed_time=None,
    stats_reset=None,
    archive_mode="on",
    in_recovery=False,
    segment_size=16 * 2**20,
    asked_at=NOW,
    timeline=1,
    current_segment="00000001000000000000000B",
)


def base(age: timedelta, status: str = "DONE") -> BaseBackup:
    return BaseBackup(f"id-{age}", 10**8, status, NOW - age)


def proof(age: timedelta) -> Proof:
    return Proof("b", "uid", "id", NOW - age, rows=5, tables=2, run_id="r")


def test_a_young_backup_is_recent() -> None:
    check = conditions.newest_backup_is_recent([base(50 * HOUR), base(3 * HOUR)], WATCH, NOW)
    assert check.passed
    assert check.metadata["age in hours"] == 3.0
    assert check.metadata["finished backups"] == 2


@pytest.mark.parametrize(
    ("bases", "severity", "told"),
    [
        ([], "ERROR", "the store has no finished base backup"),
        ([base(HOUR, "FAILED")], "ERROR", "no finished base backup; 1 that Barman did not finish"),
        ([base(HOUR, "STARTED"), base(27 * HOUR)], "WARN", "27.0 h old, more than 26 h"),
        ([base(51 * HOUR)], "ERROR", "51.0 h old, more than 50 h"),
        ([base(-HOUR)], "ERROR", "in the future: one of the clocks is wrong"),
        ([BaseBackup("x", 1, "DONE", None)], "ERROR", "no finished base backup"),
        (Unseen("the store is away"), "ERROR", "unknown: the store is away"),
    ],
)
def test_an_old_missing_or_unfinished_backup_is_not(bases: list[BaseBackup] | Unseen, severity: str, told: str) -> None:
    check = conditions.newest_backup_is_recent(bases, WATCH, NOW)
    assert not check.passed
    assert check.severity == severity
    assert told in check.description


@pytest.mark.parametrize(
    ("newest", "passed", "severity", "told"),
    [
        (proof(HOUR), True, "ERROR", "1.0 h old"),
        (proof(9 * 24 * HOUR), False, "WARN", "more than 192 h"),
        (proof(16 * 24 * HOUR), False, "ERROR", "more than 360 h"),
        (None, False, "ERROR", "no backup of it was ever proven"),
        (Unseen("the record is damaged"), False, "ERROR", "unknown: the record is damaged"),
    ],
)
def test_a_proof_ages(newest: Proof | Unseen | None, passed: bool, severity: str, told: str) -> None:
    check = conditions.newest_proof_is_recent(newest, WATCH, NOW)
    assert (check.passed, check.severity) == (passed, severity)
    assert told in check.description


def compared(age: timedelta, **found: Any) -> Compared:
    parts: dict[str, Any] = {"outcome": "proven", "reason": "5 rows in 2 tables are equal", "different": ()}
    return Compared(**(parts | {"backup": "b", "at": NOW - age, "rows": 5, "tables": 2, "lsn": "0/A", "run_id": "r"} | found))


@pytest.mark.parametrize(
    ("newest", "backup", "passed", "severity", "told"),
    [
        (compared(HOUR), None, True, "ERROR", "Backup b, compared at 2026-11-24 11:00 UTC: 5 rows in 2 tables are equal"),
        (compared(HOUR), NOW - 2 * HOUR, True, "ERROR", "are equal"),
        (compared(9 * 24 * HOUR), NOW - 9 * 24 * HOUR, True, "ERROR", "are equal"),
        (compared(9 * 24 * HOUR), NOW, False, "WARN", "the newest backup is 216 h younger than that, more than 192 h"),
        (compared(16 * 24 * HOUR), NOW, False, "ERROR", "384 h younger than that, more than 360 h"),
        (compared(HOUR), Unseen("the store is away"), False, "WARN", "newest backup is, is unknown: the store is away"),
        (compared(HOUR, outcome="failed", reason="1 differences: t"), NOW, False, "ERROR", "1 differences: t"),
        (None, NOW, False, "ERROR", "nothing was compared yet"),
        (Unseen("the record is damaged"), NOW, False, "ERROR", "unknown: the record is damaged"),
    ],
)
def test_the_rows_are_as_equal_as_they_were_last_found(
    newest: Compared | Unseen | None, backup: datetime | Unseen | None, passed: bool, severity: str, told: str
) -> None:
    check = conditions.restored_rows_are_equal(newest, backup, WATCH)
    assert (check.name, check.passed, check.severity) == ("restored_rows_are_equal", passed, severity)
    assert told in check.description


def test_what_was_found_is_shown_with_its_numbers_and_the_run() -> None:
    check = conditions.restored_rows_are_equal(compared(HOUR, outcome="failed", different=("app.a", "app.b")), None, WATCH)
    assert (check.metadata["rows"], check.metadata["tables"], check.metadata["LSN"]) == (5, 2, "0/A")
    assert check.metadata["run"] == Link("/runs/r")
    assert check.metadata["tables that differ"] == Table([{"table": "app.a"}, {"table": "app.b"}])


def test_wal_that_flows_is_archived() -> None:
    assert conditions.wal_is_archived(Archive(STATUS, True), WATCH).passed


def test_a_quiet_server_whose_segment_stays_open_is_archived() -> None:
    """Nothing is committed, so nothing waits, however long ago the last segment was archived."""
    quiet = replace(STATUS, last_archived_time=NOW - 40 * HOUR)
    assert conditions.wal_is_archived(Archive(quiet, True), WATCH).passed


@pytest.mark.parametrize(
    ("archive", "told"),
    [
        (Archive(replace(STATUS, archive_mode="off"), True), "archive_mode is off"),
        (
            Archive(replace(STATUS, last_failed_time=NOW, last_failed_wal="00000001000000000000000B", failed_count=7), True),
            "newest attempt failed (00000001000000000000000B, 7 failures",
        ),
        (Archive(replace(STATUS, last_archived_wal=None, last_archived_time=None), True), "has not archived anything"),
        (Archive(STATUS, False), "it is not in the store"),
        (
            Archive(replace(STATUS, last_archived_wal="00000002.history", last_archived_time=NOW - HOUR), True),
            "00000002.history is the last in the archive, for 3600 s, and holds no WAL",
        ),
        (
            Archive(replace(STATUS, last_archived_time=NOW - HOUR, current_segment="00000001000000000000000D"), True),
            "00000001000000000000000D is being written",
        ),
        (Unseen("no primary"), "unknown: no primary"),
    ],
)
def test_wal_that_does_not_reach_the_store_is_not(archive: Archive | Unseen, told: str) -> None:
    check = conditions.wal_is_archived(archive, WATCH)
    assert not check.passed
    assert check.severity == "ERROR"
    assert told in check.description


def test_how_long_it_is_behind_is_told_by_the_servers_own_clock() -> None:
    """A desk whose clock is an hour behind must not take an archiver that hangs for one that has just archived."""
    ahead = NOW + HOUR
    hangs = replace(STATUS, asked_at=ahead, last_archived_time=ahead - timedelta(minutes=40), current_segment="00000001000000000000000D")
    assert "for 2400 s" in conditions.wal_is_archived(Archive(hangs, True), WATCH).description


def test_an_old_failure_that_was_overcome_does_not_count() -> None:
    mended = replace(STATUS, last_failed_time=NOW - HOUR, last_failed_wal="000000010000000000000009", failed_count=3)
    assert conditions.wal_is_archived(Archive(mended, True), WATCH).passed


def test_scratch_clusters_in_use_are_fine_and_left_ones_are_named() -> None:
    in_use, left = ScratchCluster("a", ""), ScratchCluster("b", "run 12345678 that made it is over")
    assert conditions.no_scratch_cluster_is_left([in_use]).passed
    check = conditions.no_scratch_cluster_is_left([in_use, left])
    assert not check.passed
    assert "b: run 12345678 that made it is over" in check.description
    assert (check.metadata["left"], check.metadata["in use"]) == (1, 1)
    assert not conditions.no_scratch_cluster_is_left(Unseen("403")).passed


@given(st.text(min_size=1, max_size=40))
def test_unknown_is_never_good(why: str) -> None:
    unseen = Unseen(why)
    checks: list[Check] = [
        conditions.newest_backup_is_recent(unseen, WATCH, NOW),
        conditions.newest_proof_is_recent(unseen, WATCH, NOW),
        conditions.wal_is_archived(unseen, WATCH),
        conditions.no_scratch_cluster_is_left(unseen),
    ]
    assert not any(check.passed for check in checks)


@pytest.mark.parametrize(
    ("bases", "due"),
    [
        ([base(HOUR)], False),
        ([base(HOUR, "FAILED"), base(13 * HOUR)], True),
        ([], True),
        ([base(-48 * HOUR)], True),  # a clock that ran ahead must not put off every backup until it is caught up with
        ([base(-48 * HOUR), base(HOUR)], False),
        (Unseen("the store is away"), True),  # better one backup too many than none
    ],
)
def test_a_scheduled_backup_is_left_out_only_while_a_finished_one_is_young(bases: list[BaseBackup] | Unseen, due: bool) -> None:
    reason = conditions.why_no_backup_is_due(bases, TIMES, NOW)
    assert (reason == "") is due
    if not due:
        assert "1.0 h old; the next is due when it is 12 h old" in reason
