"""The sensor that tells, tick by tick, over an instance of the test's own and a webhook on loopback; and the dead man's switch."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus

from gsv_ops.housekeeping import history, notify, schedules, sensors
from gsv_ops.operations.desk import DeskFactory
from gsv_ops_tests.unit.housekeeping.listening import Listener, listening
from gsv_ops_tests.unit.housekeeping.test_history import REPOSITORY, evaluate, run, state, tick


class Telling:
    """The sensor `tell_alerts` with its cursor."""

    def __init__(self, instance: dg.DagsterInstance, hook: Listener) -> None:
        self.instance = instance
        self.hook = hook
        self.cursor: str | None = None
        (self.sensor,) = [s for s in sensors.sensors() if s.name == "tell_alerts"]

    def tick(self) -> list[tuple[str, str]]:
        """One tick; what the webhook heard by it."""
        nothing: Any = None
        before = len(self.hook.alerts())
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=REPOSITORY, resources={"desk": DeskFactory(nothing)}
        )
        result: Any = self.sensor(context)
        self.cursor = result.cursor
        self.word = str(result.skip_reason.skip_message)
        return self.hook.alerts()[before:]


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telling]:
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setattr(history, "SCHEDULE_SLACK", timedelta(days=1))
    with listening() as hook, dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        monkeypatch.setenv("GSV_WEBHOOK_URL", hook.url)
        yield Telling(instance, hook)


def test_history_is_not_told_what_fails_then_is_once_and_its_end(telling: Telling) -> None:
    run(telling.instance, "long ago")
    assert telling.tick() == []
    assert telling.word == "nothing is wrong"

    failed = run(telling.instance, "no room\nChanged: nothing.\nNot changed: everything.\nRun it again: yes.\nNext: kubectl get pvc")
    assert telling.tick() == [("firing", "GsvOpsRunFailed")]
    (alert,) = telling.hook.bodies[-1]["alerts"]
    assert alert["annotations"]["description"] == "no room"
    assert alert["annotations"]["what_to_do"] == "kubectl get pvc"
    assert alert["annotations"]["link"] == f"/runs/{failed}"
    run(telling.instance, "no room again")
    assert telling.tick() == []
    assert telling.word.startswith("work failed in sandbox at ")

    run(telling.instance)
    assert telling.tick() == [("resolved", "GsvOpsRunFailed")]
    assert telling.tick() == []


def test_a_check_is_told_when_it_turns_and_not_while_it_stays(telling: Telling) -> None:
    evaluate(telling.instance, passed=True)
    assert telling.tick() == []
    evaluate(telling.instance, passed=False)
    assert telling.tick() == [("firing", "GsvOpsCheckFailed")]
    evaluate(telling.instance, passed=False)
    assert telling.tick() == []
    evaluate(telling.instance, passed=True)
    assert telling.tick() == [("resolved", "GsvOpsCheckFailed")]


def test_a_sensor_that_errors_and_a_schedule_that_was_switched_off_are_told(telling: Telling) -> None:
    eye = state(telling.instance, "eye", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE)
    state(telling.instance, "hourly", InstigatorType.SCHEDULE, InstigatorStatus.STOPPED)
    for seconds in (40, 10):
        tick(telling.instance, eye, datetime.now(UTC) - timedelta(seconds=seconds), TickStatus.FAILURE, "KeyError: 1")
    assert sorted(telling.tick()) == [("firing", "GsvOpsSwitchedOff"), ("firing", "GsvOpsTickFailed")]
    tick(telling.instance, eye, datetime.now(UTC), TickStatus.SKIPPED)
    assert telling.tick() == [("resolved", "GsvOpsTickFailed")]


def test_records_that_cannot_be_read_are_told_and_hide_nothing_else(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise OSError("disk I/O error")

    telling.tick()
    run(telling.instance, "no room")
    monkeypatch.setattr(history, "checks", broken)
    assert sorted(telling.tick()) == [("firing", "GsvOpsCannotWatch"), ("firing", "GsvOpsRunFailed")]
    assert "the desk of sandbox cannot watch its checks" in telling.word


def test_a_desk_that_tells_nobody_says_so(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GSV_WEBHOOK_URL")
    assert telling.tick() == []
    assert "nobody is told: expected GSV_ALERTMANAGER_URL or GSV_WEBHOOK_URL" in telling.word


@pytest.mark.parametrize(
    ("ticked", "status", "beats"),
    [
        (None, TickStatus.SKIPPED, False),
        (timedelta(minutes=20), TickStatus.SKIPPED, False),
        (timedelta(seconds=50), TickStatus.SKIPPED, True),
        (timedelta(seconds=50), TickStatus.FAILURE, False),
        (timedelta(seconds=50), TickStatus.STARTED, False),
    ],
)
def test_the_heart_beats_only_while_alerts_are_told(
    ticked: timedelta | None, status: TickStatus, beats: bool, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    with listening() as alertmanager:
        monkeypatch.setenv("GSV_ALERTMANAGER_URL", alertmanager.url)
        known = state(telling.instance, "tell_alerts", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE)
        if ticked is not None:
            tick(telling.instance, known, datetime.now(UTC) - ticked, status, "KeyError: 1" if status == TickStatus.FAILURE else "")
        (heartbeat,) = schedules.schedules()
        nothing: Any = None
        context = dg.build_schedule_context(instance=telling.instance, resources={"desk": DeskFactory(nothing)})
        reason: Any = heartbeat(context)
        assert len(alertmanager.bodies) == int(beats)
        assert ("withheld" in reason.skip_message) is not beats
        if beats:
            assert alertmanager.bodies[0][0]["labels"]["alertname"] == "GsvOpsHeartbeat"
            assert alertmanager.paths == ["/hook/s3cret-path/api/v2/alerts"]


def test_a_receiver_that_hangs_outside_its_own_limit_holds_up_no_tick(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that does not answer is under no time limit of an HTTP client."""

    def hangs(*_: object) -> tuple[int, str]:
        time.sleep(4)
        return 200, ""

    monkeypatch.setattr(notify.Receiver, "_once", hangs)
    monkeypatch.setattr(notify, "webhook", lambda *_: notify.Receiver("webhook", "127.0.0.1:9", 1.0, "http://127.0.0.1:9"))
    monkeypatch.setattr(notify, "ATTEMPTS", 1)
    telling.tick()
    run(telling.instance, "no room")
    begun = time.monotonic()
    telling.tick()
    assert time.monotonic() - begun < 3.5
    assert "NOT TOLD: webhook at 127.0.0.1:" in telling.word
    assert "no answer within 2 s" in telling.word
