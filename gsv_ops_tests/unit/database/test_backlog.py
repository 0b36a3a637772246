"""Which backups are told, and which is proven by the desk itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database import backlog
from gsv_ops.database.backlog import Attempt
from gsv_ops.platform.spec import load

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TIMES = load(None).databases["cmp_postgres"].timetable
LONG_AGO = timedelta(seconds=TIMES.prove_after_seconds + 60)


def backup(name: str, age: timedelta = LONG_AGO, phase: str = "completed", **labels: str) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels},
        "status": {"phase": phase, "backupId": name, "stoppedAt": (NOW - age).isoformat()},
    }


def attempt(verdict: str = "", ended: bool = True, age: timedelta = timedelta(hours=1)) -> Attempt:
    return Attempt(ended, verdict, NOW - age)


def due(backups: list[dict[str, Any]], proven: set[str] = frozenset(), **attempts: list[Attempt]) -> backlog.Due:  # type: ignore[assignment]
    return backlog.due(backups, proven, {f"uid-{name}": tried for name, tried in attempts.items()}, TIMES, NOW)


def test_only_completed_ones_count_and_the_newest_is_last() -> None:
    found = backlog.completed([backup("new", timedelta()), backup("old"), backup("running", phase="running"), backup("x", phase="failed")])
    assert [b["metadata"]["name"] for b in found] == ["old", "new"]


def test_what_no_run_of_ours_made_is_of_others() -> None:
    ours, scheduled, by_hand = backup("a", **{"gsv-ops/run": "r"}), backup("b", **{backlog.SCHEDULED_BY: "nightly"}), backup("c")
    assert backlog.by_others([ours, scheduled, by_hand]) == [scheduled, by_hand]
    assert backlog.made_by(scheduled) == "ScheduledBackup nightly"
    assert backlog.made_by(by_hand) == "hand"


def test_a_new_desk_tells_the_newest_only_and_then_each_once() -> None:
    a, b, c = backup("a"), backup("b"), backup("c")
    told, cursor = backlog.not_seen([a, b], None)
    assert told == [b]
    told, cursor = backlog.not_seen([a, b], cursor)
    assert told == []
    told, cursor = backlog.not_seen([b, c], cursor)
    assert told == [c]
    assert "uid-a" not in cursor, "what is gone is forgotten, so that the cursor cannot grow"


def test_no_backup_at_all_is_told_and_not_history_on_the_next_look() -> None:
    told, cursor = backlog.not_seen([], None)
    assert told == []
    assert backlog.not_seen([backup("a"), backup("b")], cursor)[0] == [backup("a"), backup("b")]


@pytest.mark.parametrize(
    ("backups", "proven", "attempts", "told"),
    [
        ([], set(), {}, "there is no completed backup"),
        ([backup("a")], {"uid-a"}, {}, "is proven"),
        ([backup("a", timedelta(minutes=5))], set(), {}, "a is 5 min old; it is proven when it is 360 min old"),
        ([backup("a")], set(), {"a": [attempt(ended=False)]}, "a proof of a is going on"),
        ([backup("a")], set(), {"a": [attempt("failed")]}, "trying again would not make it a backup"),
        ([backup("a")], set(), {"a": [attempt("inconclusive")] * TIMES.prove_attempts}, "was tried 3 times without a verdict"),
        ([backup("a")], set(), {"a": [attempt("", age=timedelta(minutes=2))]}, "tried again 15 min after it"),
    ],
)
def test_nothing_is_started_and_the_reason_is_told(
    backups: list[dict[str, Any]], proven: set[str], attempts: dict[str, list[Attempt]], told: str
) -> None:
    found = due(backups, proven, **attempts)
    assert found.backup is None
    assert told in found.reason


def test_an_unproven_backup_is_due_and_each_attempt_has_its_number() -> None:
    found = due([backup("old"), backup("a")])
    assert found.backup == backup("a")
    assert found.attempt == 1
    assert due([backup("a")], a=[attempt("inconclusive")]).attempt == 2
    assert due([backup("a")], a=[attempt(""), attempt("inconclusive")]).attempt == 3


@given(st.lists(st.builds(attempt, st.sampled_from(["", "inconclusive", "failed", "proven"]), st.booleans()), max_size=8))
def test_attempts_are_bounded_and_never_two_at_once(tried: list[Attempt]) -> None:
    found = due([backup("a")], a=tried)
    if found.backup is not None:
        assert found.attempt <= TIMES.prove_attempts
        assert all(one.ended for one in tried)
        assert not any(one.verdict == "failed" for one in tried)


def test_where_backups_are_taken_often_the_newest_that_is_old_enough_is_proven() -> None:
    """Every four hours with a limit of six: the newest is never six hours old, and still one is proven."""
    backups = [backup(f"b{hours}", timedelta(hours=hours)) for hours in (15, 11, 7, 3)]
    assert due(backups).backup == backup("b7", timedelta(hours=7))
    assert due(backups, {"uid-b3"}).reason == "b3 is proven"
    assert due(backups, {"uid-b11"}).backup == backup("b7", timedelta(hours=7))
