"""The sensor that tells, tick by tick, over an instance of the test's own and a webhook on loopback; and the dead man's switch."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus, TickStatus

from gsv_ops.housekeeping import alerts, history, notify, schedules, sensors
from gsv_ops.kube.errors import Unavailable
from gsv_ops.kube.resources import LEASE
from gsv_ops.operations import lease
from gsv_ops.operations.desk import DeskFactory
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.housekeeping.listening import Listener, listening
from gsv_ops_tests.unit.housekeeping.test_history import REPOSITORY, age, evaluate, run, state, tick


class Away:
    """An API server that does not answer."""

    def get(self, *_: object, **__: object) -> NoReturn:
        raise Unavailable("the API server does not answer")


def here() -> FakeKube:
    """The cluster of the environment, where nobody holds the Lease."""
    kube = FakeKube()
    kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kube-system", "uid": "the-one"}})
    kube.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    return kube


class Telling:
    """The sensor `tell_alerts` with its cursor, of one desk of a cluster."""

    def __init__(self, instance: dg.DagsterInstance, hook: Listener) -> None:
        self.instance = instance
        self.hook = hook
        self.kube: Any = here()
        self.cursor: str | None = None
        self.checks: list[tuple[bool, str]] = []
        (self.sensor,) = [s for s in sensors.sensors() if s.name == "tell_alerts"]

    def tick(self) -> list[tuple[str, str]]:
        """One tick; what the webhook heard by it."""
        before = len(self.hook.alerts())
        context = dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, repository_def=REPOSITORY, resources={"desk": DeskFactory(self.kube)}
        )
        result: Any = self.sensor(context)
        self.cursor = result.cursor
        self.checks = [(event.passed, event.description) for event in result.asset_events]
        self.word = str(result.skip_reason.skip_message)
        return self.hook.alerts()[before:]


@pytest.fixture
def telling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Telling]:
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
    monkeypatch.setenv("DAGSTER_HOME", "/the/desk")
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


def test_a_check_turns_yellow_by_itself_while_nobody_is_told_and_says_what_to_set(
    telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = os.environ["GSV_WEBHOOK_URL"]
    monkeypatch.delenv("GSV_WEBHOOK_URL")
    telling.tick()
    [(passed, said)] = telling.checks
    assert not passed
    assert said.startswith("nobody is told: expected GSV_ALERTMANAGER_URL or GSV_WEBHOOK_URL, or desk.alerts in platform.yaml")
    telling.tick()
    assert telling.checks == [], "only what is new is shown"
    monkeypatch.setenv("GSV_WEBHOOK_URL", "http://127.0.0.1:9/none")
    run(telling.instance, "no room")
    telling.tick()
    assert telling.checks == [(False, "not told: webhook at 127.0.0.1:9: no answer (NewConnectionError)")]
    monkeypatch.setenv("GSV_WEBHOOK_URL", url)
    telling.tick()
    assert telling.checks == [(True, "webhook can be told what goes wrong; GSV_ALERTMANAGER_URL is not set, so nobody notices its silence")]


def test_a_second_desk_tells_nothing_until_the_first_is_gone(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    assert telling.tick() == []
    first = Telling(telling.instance, telling.hook)
    first.kube, first.cursor = telling.kube, telling.cursor
    monkeypatch.setenv("DAGSTER_HOME", "/another/desk")
    telling.tick()
    run(telling.instance, "no room")
    assert telling.tick() == []
    assert telling.word.startswith("another desk tells what goes wrong here: sandbox/")
    telling.kube.remove(LEASE, lease.NAME, "cmp")
    assert telling.tick() == [("firing", "GsvOpsRunFailed")]
    monkeypatch.setenv("DAGSTER_HOME", "/the/desk")
    assert first.tick() == [], "it has lost the Lease"


@pytest.mark.parametrize("spoke", [True, False])
def test_while_nobody_knows_who_holds_the_lease_who_told_tells_on_and_says_so(
    spoke: bool, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not spoke:
        lease.hold(telling.kube, "cmp", 120, "sandbox/elsewhere/1", datetime.now(UTC))
    telling.tick()
    run(telling.instance, "no room")
    telling.kube = Away()
    heard = telling.tick()
    assert sorted(heard) == ([("firing", "GsvOpsNobodyActs"), ("firing", "GsvOpsRunFailed")] if spoke else [])
    assert ("another desk told last" in telling.word) is not spoke


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"GSV_ENVIRONMENT": ""}, "GSV_ENVIRONMENT is not set"),
        ({"GSV_ENVIRONMENT": "prod"}, "environment 'prod' has automation: false"),
        ({"GSV_CLUSTER_IDENTITY": "another"}, "this is not the cluster of environment 'sandbox'"),
    ],
)
def test_a_desk_that_does_not_act_by_itself_tells_nobody_and_takes_no_lease(
    changes: dict[str, str], said: str, telling: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling.tick()
    telling.kube.remove(LEASE, lease.NAME, "cmp")
    for name, value in changes.items():
        monkeypatch.setenv(name, value)
    run(telling.instance, "no room")
    assert telling.tick() == []
    assert said in telling.word
    assert list(telling.kube.list(LEASE, "cmp")) == []


def test_a_weekly_failure_is_told_until_the_job_succeeds_and_one_of_somebody_for_a_day(telling: Telling) -> None:
    """As if each had failed three days ago."""
    three_days = timedelta(days=3)
    telling.cursor = alerts.cursor(alerts.begun(None, datetime.now(UTC) - timedelta(days=30), timedelta(days=99)))
    run(telling.instance, "no room", dagster__schedule_name="hourly", gsv__operation="prove_backup")
    run(telling.instance, "no hands", gsv__operation="by_hand")
    age(telling.instance, three_days)
    assert telling.tick() == [("firing", "GsvOpsRunFailed")]
    assert telling.hook.bodies[-1]["alerts"][0]["labels"]["operation"] == "prove_backup"
    run(telling.instance, gsv__operation="prove_backup")
    assert telling.tick() == [("resolved", "GsvOpsRunFailed")]


def test_what_the_desk_began_is_told_no_longer_than_its_bound(telling: Telling) -> None:
    telling.cursor = alerts.cursor(alerts.begun(None, datetime.now(UTC) - timedelta(days=90), timedelta(days=99)))
    run(telling.instance, "no room", dagster__schedule_name="hourly")
    age(telling.instance, timedelta(days=36))
    assert telling.tick() == []


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
        heartbeat, _ = schedules.schedules()
        context = dg.build_schedule_context(instance=telling.instance, resources={"desk": DeskFactory(telling.kube)})
        reason: Any = heartbeat(context)
        assert len(alertmanager.bodies) == int(beats)
        assert ("withheld" in reason.skip_message) is not beats
        if beats:
            assert alertmanager.bodies[0][0]["labels"]["alertname"] == "GsvOpsHeartbeat"
            assert alertmanager.paths == ["/hook/s3cret-path/api/v2/alerts"]


def test_the_heart_of_a_desk_without_the_lease_does_not_beat(telling: Telling, monkeypatch: pytest.MonkeyPatch) -> None:
    lease.hold(telling.kube, "cmp", 120, "sandbox/elsewhere/1", datetime.now(UTC))
    with listening() as alertmanager:
        monkeypatch.setenv("GSV_ALERTMANAGER_URL", alertmanager.url)
        known = state(telling.instance, "tell_alerts", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE)
        tick(telling.instance, known, datetime.now(UTC), TickStatus.SKIPPED)
        heartbeat, _ = schedules.schedules()
        context = dg.build_schedule_context(instance=telling.instance, resources={"desk": DeskFactory(telling.kube)})
        reason: Any = heartbeat(context)
        assert alertmanager.bodies == []
    assert reason.skip_message.startswith("no heartbeat of this desk: another desk tells what goes wrong here: sandbox/elsewhere/1")


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
