"""What is read out of Dagster's own records: real runs, real evaluations, real ticks in an instance of the test's own."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import (
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteInstigatorOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData, TickData, TickStatus
from dagster._core.storage.runs.schema import RunsTable
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._utils.error import SerializableErrorInfo

from gsv_ops.housekeeping import history
from gsv_ops.housekeeping.judge import Tick

KEY = dg.AssetKey(["a", "thing"])
CHECK = dg.AssetCheckKey(KEY, "it_is_good")


@dg.op
def may_fail(context: dg.OpExecutionContext) -> None:
    if said := context.run.tags.get("fail"):
        raise dg.Failure(said, allow_retries=False)


@dg.job
def work() -> None:
    may_fail()


@dg.asset_check(asset=KEY, name="it_is_good")
def it_is_good() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


LOOK = dg.define_asset_job("look", selection=dg.AssetSelection.checks(it_is_good))
RUNNING = dg.DefaultScheduleStatus.RUNNING


@dg.sensor(name="eye", job=work, minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def eye() -> Any:
    return dg.SkipReason("nothing")


@dg.sensor(name="asleep", job=work)
def asleep() -> Any:
    return dg.SkipReason("nothing")


HOURLY = dg.ScheduleDefinition(name="hourly", job=LOOK, cron_schedule="0 * * * *", default_status=RUNNING, execution_timezone="UTC")
REPOSITORY = dg.Definitions(
    assets=[dg.AssetSpec(KEY)], asset_checks=[it_is_good], jobs=[work, LOOK], schedules=[HOURLY], sensors=[eye, asleep]
).get_repository_def()


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def run(instance: dg.DagsterInstance, fail: str = "", **tags: str) -> str:
    tags = {name.replace("__", "/"): value for name, value in tags.items()} | ({"fail": fail} if fail else {})
    return work.execute_in_process(instance=instance, raise_on_error=False, tags=tags).run_id


def age(instance: dg.DagsterInstance, by: timedelta) -> None:
    """All runs as if they had ended so much earlier."""
    storage: Any = instance.run_storage
    with storage.connect() as connection:
        for record in instance.get_run_records():
            assert record.end_time is not None
            earlier = {"end_time": record.end_time - by.total_seconds(), "update_timestamp": record.update_timestamp - by}
            table = RunsTable.update().where(RunsTable.c.run_id == record.dagster_run.run_id)
            connection.execute(table.values(**earlier))


def start() -> datetime:
    return datetime.now(UTC) - timedelta(minutes=1)


def failed(instance: dg.DagsterInstance, after: datetime) -> list[tuple[str, str, bool, str]]:
    return [(run.subject, run.run_id, run.by_itself, run.said) for run in history.failed_runs(instance, REPOSITORY, after, after)]


def test_the_first_failure_is_told_until_the_job_succeeds(instance: dg.DagsterInstance) -> None:
    after = start()
    first = run(instance, "no room", dagster__schedule_name="nightly")
    run(instance, "no room again")
    assert failed(instance, after) == [("work", first, True, "no room")]
    run(instance)
    assert failed(instance, after) == []
    third = run(instance, "and again")
    assert failed(instance, after) == [("work", third, False, "and again")]


def test_operations_are_told_apart_and_a_plan_that_works_does_not_mend_what_failed(instance: dg.DagsterInstance) -> None:
    after = start()
    one = run(instance, "x", gsv__operation="backup", gsv__mode="apply")
    two = run(instance, "y", gsv__operation="proof", gsv__mode="apply")
    run(instance, gsv__operation="backup", gsv__mode="plan")
    assert {(subject, run_id) for subject, run_id, _, _ in failed(instance, after)} == {("backup", one), ("proof", two)}
    run(instance, gsv__operation="backup", gsv__mode="apply")
    assert {subject for subject, *_ in failed(instance, after)} == {"proof"}


def test_what_fails_often_hides_nothing_of_what_the_desk_began(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_RUNS", 2)
    after = start()
    weekly = run(instance, "x", dagster__schedule_name="hourly", gsv__operation="proof")
    for _ in range(3):
        run(instance, "y", gsv__operation="often")
    assert ("proof", weekly, True, "x") in failed(instance, after)


def test_one_databases_success_mends_nothing_of_anothers(instance: dg.DagsterInstance) -> None:
    after = start()
    run(instance, "x", gsv__operation="backup", gsv__database="one")
    two = run(instance, "y", gsv__operation="backup", gsv__database="two")
    run(instance, gsv__operation="backup", gsv__database="one")
    assert failed(instance, after) == [("backup of two", two, False, "y")]


def test_retries_refusals_by_a_freeze_and_what_was_before_are_not_told(instance: dg.DagsterInstance) -> None:
    after = start()
    run(instance, "x", dagster__retry_number="1")
    run(instance, "x", gsv__refused="frozen")
    assert failed(instance, after) == []
    run(instance, "x")
    assert failed(instance, datetime.now(UTC) + timedelta(minutes=1)) == []


def evaluate(instance: dg.DagsterInstance, passed: bool) -> None:
    evaluation = dg.AssetCheckEvaluation(
        asset_key=KEY, check_name="it_is_good", passed=passed, severity=dg.AssetCheckSeverity.WARN, description="looked at", metadata={}
    )
    instance.report_runless_asset_event(evaluation)


def test_a_check_is_what_its_newest_evaluation_says(instance: dg.DagsterInstance) -> None:
    (state,) = history.checks(instance, REPOSITORY)
    assert (state.asset, state.name, state.evaluated_at, state.due) == ("a/thing", "it_is_good", None, None)
    evaluate(instance, passed=True)
    evaluate(instance, passed=False)
    (state,) = history.checks(instance, REPOSITORY)
    assert (state.passed, state.severe, state.said) == (False, False, "looked at")
    assert state.evaluated_at is not None
    assert datetime.now(UTC) - state.evaluated_at < timedelta(minutes=1)


def origin(name: str) -> RemoteInstigatorOrigin:
    location = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(module_name="gsv_ops.definitions"), location_name="gsv_ops")
    return RemoteInstigatorOrigin(RemoteRepositoryOrigin(location, "__repository__"), name)


def state(instance: dg.DagsterInstance, name: str, kind: InstigatorType, status: InstigatorStatus) -> InstigatorState:
    data = ScheduleInstigatorData("0 * * * *") if kind == InstigatorType.SCHEDULE else None
    made = InstigatorState(origin(name), kind, status, data)
    instance.add_instigator_state(made)
    return made


def tick(instance: dg.DagsterInstance, of: InstigatorState, at: datetime, status: TickStatus, error: str = "") -> None:
    info = SerializableErrorInfo(f"{error}\n", ["a traceback"], "KeyError") if error else None
    ids = {"instigator_origin_id": of.instigator_origin_id, "selector_id": of.selector_id}
    runs = ["r-1"] if status == TickStatus.SUCCESS else []
    data = TickData(
        **ids,
        instigator_name=of.name,
        instigator_type=of.instigator_type,
        status=status,
        timestamp=at.timestamp(),
        run_ids=runs,
        error=info,
    )
    instance.create_tick(data)


def test_what_the_code_wants_to_run_is_watched_with_its_newest_ticks(instance: dg.DagsterInstance) -> None:
    now = datetime(2026, 11, 24, 6, 12, tzinfo=UTC)
    seen = state(instance, "eye", InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE)
    for minutes, status, error in (
        (3, TickStatus.SKIPPED, ""),
        (2, TickStatus.FAILURE, "KeyError: 1"),
        (1, TickStatus.FAILURE, "KeyError: 2"),
    ):
        tick(instance, seen, now - timedelta(minutes=minutes), status, error)
    state(instance, "hourly", InstigatorType.SCHEDULE, InstigatorStatus.STOPPED)

    schedule, sensor = history.ticking(instance, REPOSITORY, "nobody", now)

    assert (schedule.name, schedule.running, schedule.ticks) == ("hourly", False, ())
    assert schedule.expected == datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    assert (sensor.name, sensor.running, sensor.expected) == ("eye", True, now - timedelta(minutes=10))
    assert sensor.ticks == (
        Tick(now - timedelta(minutes=1), True, "KeyError: 2"),
        Tick(now - timedelta(minutes=2), True, "KeyError: 1"),
    )
    assert history.last_tick(instance, "eye") == now - timedelta(minutes=3), "a tick that failed counts as one"
    assert history.last_tick(instance, "asleep") is None
    assert [one.name for one in history.ticking(instance, REPOSITORY, "eye", now)] == ["hourly"]


def test_a_check_is_due_once_a_whole_round_has_passed_since_it_was_asked_for(instance: dg.DagsterInstance) -> None:
    now = datetime.now(UTC)
    hourly = state(instance, "hourly", InstigatorType.SCHEDULE, InstigatorStatus.DECLARED_IN_CODE)
    tick(instance, hourly, now - timedelta(hours=2), TickStatus.SUCCESS)
    tick(instance, hourly, now - timedelta(minutes=90), TickStatus.SKIPPED)
    assert history.checks(instance, REPOSITORY)[0].due is None
    tick(instance, hourly, now - timedelta(hours=1), TickStatus.SUCCESS)
    due = history.checks(instance, REPOSITORY)[0].due
    assert due is not None
    assert abs(due - (now - timedelta(hours=2))) < timedelta(seconds=1)
