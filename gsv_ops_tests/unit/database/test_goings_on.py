"""Backups that fail or are stuck, ScheduledBackups that are missed, a cluster held back, a failover: told with the reason, once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gsv_ops.database import goings_on
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.failovers import Failover
from gsv_ops.database.goings_on import Around
from gsv_ops.database.replication import Primary, Standby
from gsv_ops.kube.protocol import Object
from gsv_ops_tests.unit.database.a_cluster import DATABASE, backup, changed, cluster

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
GRACE = timedelta(minutes=15)
WELL = {"status__readyInstances": 2}


def before(minutes: float) -> str:
    return f"{NOW - timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%SZ}"


def made(name: str, phase: str | None, minutes: float, **changes: Any) -> Object:
    status = {"phase": phase} if phase is not None else {}
    return backup(name, **{"status": status, "metadata__creationTimestamp": before(minutes), **changes})


@pytest.mark.parametrize(
    ("backups", "told"),
    [
        ([], ""),
        ([made("a", "completed", 60)], ""),
        ([made("a", "completed", 60), made("b", "running", 30)], ""),
        (
            [made("a", "completed", 60), made("b", "failed", 30, status={"phase": "failed", "error": "exit 1"})],
            "Backup b is failed: exit 1",
        ),
        ([made("a", "failed", 60), made("b", "completed", 30)], ""),
        ([made("a", "walArchivingFailing", 60)], "Backup a is walArchivingFailing: no reason"),
        ([made("a", None, 4)], ""),
        ([made("a", None, 6)], "Backup a is not begun for 360 s, more than 300 s"),
        ([made("a", "pending", 6)], "Backup a is pending for 360 s"),
        ([made("a", "started", 60)], ""),
        ([made("a", "started", 300)], "Backup a is started for 18000 s, more than 14700 s"),
        ([made("a", "something new", 300)], "Backup a is something new for"),
    ],
)
def test_a_backup_that_failed_or_is_stuck_is_told_until_a_good_one(backups: list[Object], told: str) -> None:
    check = goings_on.backups_end(Around(cluster(), tuple(backups), ()), DATABASE.backup, NOW)
    assert check.passed is not bool(told)
    assert (told or "ended well") in check.description


def schedule(**changes: Any) -> Object:
    body: Object = {
        "metadata": {"name": "nightly", "uid": "u-nightly", "creationTimestamp": before(10_000)},
        "spec": {"schedule": "0 30 1 * * *", "cluster": {"name": "cmp-postgres"}},
        "status": {"lastScheduleTime": before(630), "nextScheduleTime": before(-810)},
    }
    return changed(body, changes)


OF_IT = made("nightly-1", "completed", 630, metadata__labels={"cnpg.io/scheduled-backup": "nightly"})


@pytest.mark.parametrize(
    ("found", "backups", "told"),
    [
        (schedule(), [OF_IT], ""),
        (schedule(), [], "ran at 2026-11-24 01:30 UTC and there is no Backup of it"),
        (schedule(), [made("other", "completed", 630)], "there is no Backup of it"),
        (schedule(spec__suspend=True), [], ""),
        (schedule(status__nextScheduleTime=before(10)), [OF_IT], ""),
        (schedule(status__nextScheduleTime=before(16)), [OF_IT], "was due at 2026-11-24 11:44 UTC and made nothing"),
        (schedule(status__error="bad cron"), [OF_IT], "is refused: bad cron"),
        (schedule(status=None), [], "does not say when it is due"),
        (schedule(status=None, metadata__creationTimestamp=before(1)), [], ""),
    ],
)
def test_a_scheduled_backup_that_made_nothing_is_missed(found: Object, backups: list[Object], told: str) -> None:
    check = goings_on.schedules_kept(Around(cluster(), tuple(backups), (found,)), DATABASE.watch, NOW)
    assert check.passed is not bool(told)
    assert (told or "none of 1 missed its time") in check.description
    assert goings_on.missed([found], backups, GRACE, NOW) == goings_on.missed([found], backups, GRACE, NOW + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("changes", "up"),
    [
        ({}, True),
        ({"status__phase": "Switchover in progress"}, True),
        ({"metadata__annotations": {"cnpg.io/hibernation": "on"}}, False),
        ({"metadata__annotations": {"cnpg.io/fencedInstances": '["*"]'}}, False),
        ({"status__phase": "Cluster is unrecoverable and needs manual intervention"}, False),
        ({"status__phase": "something new"}, False),
    ],
)
def test_what_somebody_must_see_to_is_not_up(changes: dict[str, Any], up: bool) -> None:
    assert goings_on.is_up(Around(cluster(**{**WELL, **changes}), (), ())).passed is up


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"status__targetPrimary": "cmp-postgres-2"}, True),
        ({"status__targetPrimary": "cmp-postgres-2", "status__targetPrimaryTimestamp": "2026-11-24T11:55:01.000000Z"}, False),
        ({"status__targetPrimary": "cmp-postgres-2", "status__targetPrimaryTimestamp": "nonsense"}, False),
        ({}, False),
    ],
)
def test_a_switchover_that_stands_still_is_trouble(changes: dict[str, Any], told: bool) -> None:
    stamped = {"status__targetPrimaryTimestamp": "2026-11-24T11:54:59.000000Z", **WELL, **changes}
    found = goings_on.of_objects(Around(cluster(**stamped), (), ()), DATABASE, NOW)
    assert [trouble.reason for trouble in found] == (
        ["the primary was to move from cmp-postgres-1 to cmp-postgres-2 at 11:54:59 UTC and has not within 300 s"] if told else []
    )


@pytest.mark.parametrize(
    ("failover", "passed"),
    [
        (None, True),
        (Failover("a", "b", NOW - timedelta(hours=23)), False),
        (Failover("a", "b", NOW - timedelta(hours=25)), True),
        (Unseen("the record is damaged"), False),
    ],
)
def test_a_failover_is_told_for_a_day(failover: Failover | Unseen | None, passed: bool) -> None:
    check = goings_on.did_not_move(failover, DATABASE.watch, NOW)
    assert (check.passed, check.severity) == (passed, "WARN")


def test_what_cannot_be_seen_is_red() -> None:
    unseen = Unseen("no answer")
    for check in (
        goings_on.is_up(unseen),
        goings_on.backups_end(unseen, DATABASE.backup, NOW),
        goings_on.schedules_kept(unseen, DATABASE.watch, NOW),
    ):
        assert (check.passed, check.description) == (False, "unknown: no answer")


def test_a_replica_that_lags_is_trouble() -> None:
    word = Primary(9, 1, {"b": Standby("b", "streaming", "async", 0, 11), "c": Standby("c", "catchup", "async", 0, 0)})
    told = [trouble.reason for trouble in goings_on.lagging(word, ["b", "c", "d"], 10)]
    assert told == ["replica b has not applied 11 bytes", "replica c is catchup", "replica d is not connected to the primary"]
    assert goings_on.lagging(word, ["b"], 11) == []
