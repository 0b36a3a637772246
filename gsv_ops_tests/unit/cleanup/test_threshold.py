"""A cleanup is started once when more may go than its threshold, not again and again, and the sensor says what it counted."""

from datetime import timedelta
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.cleanup import schedules, sensors, threshold
from gsv_ops.cleanup.counting import Count
from gsv_ops.cleanup.threshold import Memory
from gsv_ops.kube.errors import Unavailable
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform import spec
from gsv_ops.platform.spec import CleanupLimits
from gsv_ops_tests.unit.cleanup.bodies import NOW

HOUR = timedelta(hours=1)
NOTHING = Memory()


def due(may_go: int, memory: Memory = NOTHING, going_on: bool = False, limit: int = 10, later: int = 0) -> tuple[bool, Memory, str]:
    return threshold.due(Count(may_go, 100), limit, memory, going_on, HOUR, NOW + timedelta(minutes=later))


def test_above_its_threshold_a_cleanup_is_started_and_at_it_is_not() -> None:
    start, memory, said = due(11)
    assert start
    assert memory == Memory(11, NOW.isoformat())
    assert said == "at most 11 of 100 may go, above the threshold of 10; started"
    assert due(10) == (False, Memory(10), "at most 10 of 100 may go; the threshold is 10")
    assert due(99, limit=0) == (False, Memory(99), "at most 99 of 100 may go; there is no threshold")


def test_it_is_not_started_again_before_its_time() -> None:
    _, memory, _ = due(11)
    start, memory, said = due(12, memory, later=59)
    assert not start
    assert said == "at most 12 of 100 may go, above the threshold of 10; started 59 min ago, and again 1:00:00 after that"
    assert due(12, memory, later=60)[0]


def test_it_is_not_started_while_a_run_of_it_goes_on() -> None:
    start, memory, said = due(11, going_on=True)
    assert not start
    assert memory.started == ""
    assert said.endswith("a run is going on")


def test_what_is_remembered_is_read_again() -> None:
    _, memory, _ = due(11)
    assert Memory.read(memory.write()) == memory
    assert Memory.read(None) == Memory()


@pytest.mark.parametrize(("operation", "limit"), [("prune_replicasets", 300), ("prune_jobs", 200), ("prune_pods", 100)])
def test_each_has_a_threshold_below_what_a_plan_may_hold(operation: str, limit: int) -> None:
    limits = spec.load(None).cleanup
    assert threshold.threshold(operation, limits.timetable) == limit
    assert limit < limits.most_objects


class Away:
    def list(self, *_: object, **__: object) -> Any:
        raise Unavailable("the API server does not answer")

    get = list


class Full:
    """A cluster whose only namespace of the platform has many pods that ended."""

    def list(self, resource: Any, namespace: str | None = None, **_: object) -> Any:
        if resource.kind == "Namespace":
            return [{"metadata": {"name": "cmp"}}]
        old = {"namespace": "cmp", "creationTimestamp": "2020-01-01T00:00:00Z"}
        return [{"metadata": {"name": f"p-{n}", "uid": f"u-{n}", **old}} for n in range(101 if resource.kind == "Pod" else 0)]


def tick(kube: Any, tmp_path: Any, cursor: str | None = None) -> Any:
    (sensor,) = [s for s in sensors.sensors() if s.name == "prune_pods_past_threshold"]
    # the context enters and leaves the instance itself; entered twice, Dagster would never forget it
    resources = {"desk": DeskFactory(kube, UPath(tmp_path))}
    with dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), cursor=cursor, resources=resources) as context:
        return sensor(context)


def test_a_tick_starts_only_a_plan_shows_the_counts_and_remembers(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "why_not", lambda *_: "")
    result = tick(Full(), tmp_path)
    (request,) = result.run_requests
    assert request.run_config == {"mode": "plan"}
    (event,) = result.asset_events
    assert event.metadata["prune_pods: may go"].value == 101
    again = tick(Full(), tmp_path, result.cursor)
    assert again.run_requests == []
    assert again.asset_events == [], "nothing has changed"
    assert "at most 101 of 101 may go, above the threshold of 100; started 0 min ago" in again.skip_reason.skip_message


def test_a_tick_without_answer_starts_nothing_and_says_why(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "why_not", lambda *_: "")
    said = tick(Away(), tmp_path).skip_message
    assert said == "prune_pods was not started, since what may go could not be counted: the API server does not answer"


def test_the_gate_is_asked_first(tmp_path: Any) -> None:
    assert tick(Full(), tmp_path).skip_message.startswith("prune_pods was not started: GSV_ENVIRONMENT is not set")


@pytest.mark.parametrize(("allowed", "mode"), [(False, "plan"), (True, "apply")])
def test_what_starts_by_itself_only_plans_until_the_environment_lets_it_delete(allowed: bool, mode: str) -> None:
    limits = CleanupLimits(scheduled_deletions=allowed)
    assert schedules.config("prune_replicasets", limits) == {"mode": mode, "keep": 3}
    assert schedules.config("prune_jobs", limits) == {"mode": mode}


def test_the_schedules_ask_the_gate_and_are_stopped_without_an_environment(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    factory = DeskFactory(Full(), UPath(tmp_path))  # type: ignore[arg-type]
    for schedule in schedules.schedules():
        assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
        if schedule.name == "image_report_weekly":
            continue
        ephemeral = dg.DagsterInstance.ephemeral()
        with dg.build_schedule_context(instance=ephemeral, scheduled_execution_time=NOW, resources={"desk": factory}) as context:
            refused: Any = schedule(context)
            assert "was not started: GSV_ENVIRONMENT is not set" in refused.skip_message
            monkeypatch.setattr(gate, "why_not", lambda *_: "")
            asked: Any = schedule(context)
        monkeypatch.undo()
        assert asked.run_config["mode"] == "plan"
