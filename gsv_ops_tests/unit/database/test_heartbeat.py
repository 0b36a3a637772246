"""The heartbeat: what the CronJob of deploy/gitops writes, what the desk reads of it, and what turns its page yellow and red."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from gsv_sandbox import platform

from gsv_ops.database import heartbeat
from gsv_ops.database.conditions import Archive, Unseen
from gsv_ops.database.heartbeat import Heartbeats
from gsv_ops.database.lsn import parse_lsn, segment_name
from gsv_ops_tests.unit.database.test_conditions import DATABASE, NOW, STATUS

LIMITS = heartbeat.of(DATABASE)
SECOND = timedelta(seconds=1)


def seen(newest: float | None = 5, archived: float | None = 100, why: str = "") -> Heartbeats:
    return Heartbeats(
        NOW, 1440, None if newest is None else NOW - newest * SECOND, None if archived is None else NOW - archived * SECOND, why
    )


@pytest.mark.parametrize(
    ("found", "passed", "severity", "told"),
    [
        (seen(5), True, "ERROR", "5 s old"),
        (seen(151), False, "WARN", "151 s old, more than 150 s; look at the heartbeat's CronJob"),
        (seen(601), False, "ERROR", "more than 600 s"),
        (seen(None), False, "ERROR", "no row was written within a day"),
        (seen(-200), True, "ERROR", "-200 s old"),
        (seen(-301), False, "ERROR", "301 s in the future: one of the servers' clocks is wrong"),
        (Unseen("no login"), False, "ERROR", "unknown: no login"),
    ],
)
def test_a_young_row_is_a_heartbeat(found: Heartbeats | Unseen, passed: bool, severity: str, told: str) -> None:
    check = heartbeat.is_written(found, LIMITS)
    assert (check.passed, check.severity) == (passed, severity)
    assert told in check.description


@pytest.mark.parametrize(
    ("found", "passed", "severity", "told"),
    [
        (seen(archived=100), True, "ERROR", "100 s old"),
        (seen(archived=661), False, "WARN", "more than 660 s"),
        (seen(archived=1801), False, "ERROR", "more than 1800 s"),
        (seen(archived=None), False, "ERROR", "no heartbeat of the last day is in the archive"),
        (seen(archived=None, why="a new timeline"), False, "WARN", "unknown: a new timeline"),
        (Unseen("no login"), False, "ERROR", "unknown: no login"),
    ],
)
def test_the_recovery_point_is_the_newest_row_in_the_archive(found: Heartbeats | Unseen, passed: bool, severity: str, told: str) -> None:
    check = heartbeat.recovery_point_is_recent(found, LIMITS)
    assert (check.passed, check.severity) == (passed, severity)
    assert told in check.description
    if isinstance(found, Heartbeats) and found.archived:
        assert check.metadata["seconds since the newest archived heartbeat"] == (NOW - found.archived).total_seconds()


@pytest.mark.parametrize(
    ("last", "in_store", "end", "told"),
    [
        ("00000001000000000000000A", True, "0/B000000", ""),
        ("00000001000000000000000A.00000028.backup", True, "0/A000000", ""),
        ("00000001000000000000000A.partial", True, "0/A000000", ""),
        ("00000001000000000000000A", False, "0/0", "is not in the store"),
        ("00000002.history", True, "0/0", "no segment is there yet"),
        (None, False, "0/0", "has archived nothing"),
    ],
)
def test_how_far_the_archive_reaches(last: str | None, in_store: bool, end: str, told: str) -> None:
    position, why = heartbeat.archived_to(Archive(replace(STATUS, last_archived_wal=last), in_store))
    assert position == parse_lsn(end)
    assert (told in why) if told else not why


def test_a_segment_of_the_timeline_that_was_left_says_nothing_of_this_one() -> None:
    _, why = heartbeat.archived_to(Archive(replace(STATUS, timeline=2), last_is_in_store=True))
    assert "of timeline 2 no segment is there yet" in why


def switch_wal(postgres: dict[str, Any]) -> None:
    with psycopg.connect(**postgres, autocommit=True) as superuser:
        superuser.execute("select pg_switch_wal()")


@pytest.mark.postgres
def test_the_cron_jobs_own_sql_writes_rows_that_the_desk_reads(postgres: dict[str, Any]) -> None:
    """Run as the role that owns the database and nothing else; read as the desk; trimmed; and what is not archived is not said to be."""
    (cron,) = [body for body in platform.overlay() if body["kind"] == "CronJob"]
    (container,) = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    given = container["args"]
    statements = [given[n + 1] for n, word in enumerate(given) if word == "--command"]
    assert not [sql for sql in statements if "$$" in sql], "kubelet makes one dollar sign of two"
    with psycopg.connect(**postgres, autocommit=True) as superuser:
        superuser.execute("create role gsv_heartbeat login")
        superuser.execute("create role gsv_ops login in role pg_monitor, pg_read_all_data")
        superuser.execute("create database gsv_ops owner gsv_heartbeat")
    try:
        there = {**postgres, "dbname": "gsv_ops"}
        with psycopg.connect(**{**there, "user": "gsv_heartbeat"}, autocommit=True) as writer:
            for number in range(3):
                if number == 2:
                    switch_wal(postgres)
                for statement in statements:
                    writer.execute(statement)
            writer.execute("insert into public.heartbeat (at) values (now() - interval '40 days')")
            writer.execute(statements[-1])
        with psycopg.connect(**{**there, "user": "gsv_ops"}, autocommit=True) as desk:
            rows = desk.execute("select at, lsn::text from public.heartbeat order by at").fetchall()
            assert len(rows) == 3
            desk.execute("insert into public.heartbeat default values")  # what a promotion does to prove that it can be written to
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                desk.execute("delete from public.heartbeat")
            # the archive ends with the second row's segment: of the second row it is not known whether its commit is in it
            status = replace(STATUS, last_archived_wal=segment_name(parse_lsn(rows[1][1]), 1), segment_size=1 << 24)
            found = heartbeat.read(desk, Archive(status, last_is_in_store=True))
            assert (found.rows, found.archived) == (4, rows[0][0])
            none = heartbeat.read(desk, Archive(replace(STATUS, last_archived_wal=None), last_is_in_store=False))
            assert (none.archived, none.newest is not None) == (None, True)
    finally:
        with psycopg.connect(**postgres, autocommit=True) as superuser:
            superuser.execute("drop database gsv_ops with (force)")
            superuser.execute("drop role gsv_ops")
            superuser.execute("drop role gsv_heartbeat")
