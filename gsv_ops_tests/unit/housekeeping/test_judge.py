"""What of Dagster's records is worth an alert, and what is not."""

from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from gsv_ops.housekeeping import judge
from gsv_ops.housekeeping.judge import CheckState, FailedRun, Tick, Ticking

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
DESK = "https://desk.example"

SAID = """backups "b" was refused: no room
Changed: nothing.
Not changed: everything.
Run it again: yes.
Next: kubectl get backup b -n cmp -o yaml"""


@pytest.mark.parametrize(
    ("by_itself", "said", "severity", "cause", "to_do"),
    [
        (True, SAID, "critical", 'backups "b" was refused: no room', "kubectl get backup b -n cmp -o yaml"),
        (False, SAID, "warning", 'backups "b" was refused: no room', "kubectl get backup b -n cmp -o yaml"),
        (True, "its process 17 is gone", "critical", "its process 17 is gone", "open the run and read its last lines"),
        (True, "", "critical", "the run said nothing", "open the run and read its last lines"),
    ],
)
def test_a_failed_run_is_told_with_its_cause_its_link_and_what_to_do(
    by_itself: bool, said: str, severity: str, cause: str, to_do: str
) -> None:
    (alert,) = judge.failed_runs([FailedRun("backup_database", "backup_database", "r-1", NOW, by_itself, said)], "prod", DESK)
    assert (alert.severity, alert.cause, alert.to_do, alert.link) == (severity, cause, to_do, f"{DESK}/runs/r-1")
    assert alert.summary == "backup_database failed in prod at 2026-11-24 06:00:00 UTC"
    assert alert.subject == {"environment": "prod", "operation": "backup_database"}


def check(at: datetime | None, passed: bool = True, severe: bool = True, due: datetime | None = None) -> CheckState:
    return CheckState("database/x/backup", "is_recent", at, passed, severe, "it is 30 h old", due)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (check(NOW), []),
        (check(None), []),
        (check(NOW, passed=False), [("GsvOpsCheckFailed", "critical")]),
        (check(NOW, passed=False, severe=False), [("GsvOpsCheckFailed", "warning")]),
        (check(NOW, due=NOW - HOUR), []),
        (check(NOW - 2 * HOUR, due=NOW - HOUR), [("GsvOpsCheckOverdue", "critical")]),
        (check(None, due=NOW - HOUR), [("GsvOpsCheckOverdue", "critical")]),
        (check(NOW - 2 * HOUR, passed=False, due=NOW - HOUR), [("GsvOpsCheckFailed", "critical"), ("GsvOpsCheckOverdue", "critical")]),
    ],
)
def test_a_check_that_fails_or_falls_silent_is_told(state: CheckState, told: list[Any]) -> None:
    alerts = judge.checks([state], "prod", DESK, NOW)
    assert [(alert.name, alert.severity) for alert in alerts] == told
    assert all(alert.link == f"{DESK}/assets/database/x/backup?view=checks&checkDetail=is_recent" for alert in alerts)


GOOD, BAD = Tick(NOW, False), Tick(NOW, True, "KeyError: 'x'")
OLD = Tick(NOW - HOUR, False)
LONG_UP = NOW - 10 * HOUR


@pytest.mark.parametrize(
    ("kind", "running", "ticks", "up_since", "told"),
    [
        ("sensor", True, (GOOD, GOOD), LONG_UP, []),
        ("sensor", True, (BAD, GOOD), LONG_UP, []),
        ("sensor", True, (GOOD, BAD), LONG_UP, []),
        ("sensor", True, (BAD, BAD), LONG_UP, ["GsvOpsTickFailed"]),
        ("schedule", True, (BAD, GOOD), LONG_UP, ["GsvOpsTickFailed"]),
        ("schedule", True, (GOOD, BAD), LONG_UP, []),
        ("sensor", True, (OLD, OLD), LONG_UP, ["GsvOpsStandsStill"]),
        ("sensor", True, (OLD, OLD), NOW, []),
        ("schedule", True, (), LONG_UP, ["GsvOpsStandsStill"]),
        ("schedule", True, (), NOW, []),
        ("sensor", False, (BAD, BAD), LONG_UP, ["GsvOpsSwitchedOff"]),
    ],
)
def test_a_schedule_or_sensor_that_errors_stands_still_or_was_switched_off_is_told(
    kind: Literal["schedule", "sensor"], running: bool, ticks: tuple[Tick, ...], up_since: datetime, told: list[str]
) -> None:
    one = Ticking(kind, "nightly", running, ticks, NOW - timedelta(minutes=10))
    alerts = judge.ticking([one], "prod", DESK, NOW, up_since)
    assert [alert.name for alert in alerts] == told
    assert all(alert.subject == {"environment": "prod", kind: "nightly"} for alert in alerts)
