"""What Dagster's own records say of runs, checks, schedules and sensors: a bounded number of queries, for a sensor's tick."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorTick, TickStatus
from dagster._core.storage.asset_check_execution_record import COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
from dagster._utils.schedules import schedule_execution_time_iterator

from gsv_ops.housekeeping import alerts
from gsv_ops.housekeeping.judge import SCHEDULE_SLACK, SENSOR_INTERVALS, SENSOR_SLACK, CheckState, FailedRun, Tick, Ticking

MOST_RUNS = 100
MOST_OF_ONE = 10
MOST_SUBJECTS = 30
TICKS = 2
BY_ITSELF = ("dagster/schedule_name", "dagster/sensor_name")
OPERATION, MODE, DATABASE = "gsv/operation", "gsv/mode", "gsv/database"
RETRY = "dagster/retry_number"
REFUSED = "gsv/refused"


def failed_runs(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, after: datetime, own_after: datetime) -> list[FailedRun]:
    """The first failure of each operation (or job that is none) that has not succeeded since.

    Of what somebody launched: after `after`. Of what a schedule or sensor of the repository launched: after `own_after`, since nobody may
    have looked. A retry is no failure of its own, and a run that a freeze refused is none at all.
    """
    failures: dict[str, list[dg.RunRecord]] = {}
    known = set[str]()
    for record in [*_failures(instance, after, {}, MOST_RUNS), *_own_failures(instance, repository, own_after)]:
        if record.dagster_run.run_id not in known:
            known.add(record.dagster_run.run_id)
            failures.setdefault(_subject(record.dagster_run), []).append(record)
    found = []
    for subject, records in list(failures.items())[:MOST_SUBJECTS]:
        success = _last_success(instance, records[0].dagster_run)
        since = [record for record in records if success is None or _ended(record) > success]
        if since:
            first = min(since, key=_ended)
            run = first.dagster_run
            by_itself = any(tag in run.tags for tag in BY_ITSELF)
            found.append(FailedRun(subject, run.job_name, run.run_id, _ended(first), by_itself, _said(instance, run.run_id)))
    return found


def _own_failures(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, after: datetime) -> Iterator[dg.RunRecord]:
    """The newest failures of each schedule and sensor: asked for one by one, so that none that fails often hides the others."""
    schedules, sensors = ([one.name for one in own] for own in (repository.schedule_defs, repository.sensor_defs))
    for tag, names in zip(BY_ITSELF, (schedules, sensors), strict=True):
        for name in names:
            yield from _failures(instance, after, {tag: name}, MOST_OF_ONE)


def _failures(instance: dg.DagsterInstance, after: datetime, tags: dict[str, str], most: int) -> Iterator[dg.RunRecord]:
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=after, tags=tags)
    for record in instance.get_run_records(wanted, limit=most):
        if _ended(record) >= after and not {RETRY, REFUSED} & record.dagster_run.tags.keys():
            yield record


def checks(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> list[CheckState]:
    """The newest evaluation of every check of the repository, and when a schedule last asked for one that had time to come."""
    due = _asked_for(instance, repository)
    found = []
    for key in sorted(repository.asset_graph.asset_check_keys, key=str):
        # not the newest record: that may be a plan to evaluate it
        records = instance.event_log_storage.get_asset_check_execution_history(
            key, limit=1, status=COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES
        )
        evaluation = records[0].event.asset_check_evaluation if records and records[0].event else None
        at = _utc(records[0].event.timestamp) if records and records[0].event else None
        asset = "/".join(key.asset_key.path)
        if evaluation is None:
            found.append(CheckState(asset, key.name, None, False, False, "", due.get(key)))
            continue
        severe = evaluation.severity == dg.AssetCheckSeverity.ERROR
        found.append(CheckState(asset, key.name, at, evaluation.passed, severe, evaluation.description or "", due.get(key)))
    return found


def ticking(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition, but: str, now: datetime) -> list[Ticking]:
    """Every schedule and sensor that the code wants to run, `but` the one that asks."""
    states = _states(instance)
    found = []
    for schedule in repository.schedule_defs:
        if schedule.default_status == dg.DefaultScheduleStatus.RUNNING:
            state = states.get((InstigatorType.SCHEDULE, schedule.name))
            latest = schedule_execution_time_iterator(
                (now - SCHEDULE_SLACK).timestamp(), schedule.cron_schedule, schedule.execution_timezone, ascending=False
            )
            found.append(Ticking("schedule", schedule.name, _runs(state), tuple(_ticks(instance, state)), next(latest).astimezone(UTC)))
    for sensor in repository.sensor_defs:
        if sensor.default_status == dg.DefaultSensorStatus.RUNNING and sensor.name != but:
            state = states.get((InstigatorType.SENSOR, sensor.name))
            longest = max(SENSOR_SLACK, timedelta(seconds=SENSOR_INTERVALS * (sensor.minimum_interval_seconds or 30)))
            found.append(Ticking("sensor", sensor.name, _runs(state), tuple(_ticks(instance, state)), now - longest))
    return found


def last_tick(instance: dg.DagsterInstance, sensor: str) -> datetime | None:
    """When that sensor last ticked to the tick's end; None if it never did. A tick that failed or hangs did nothing."""
    state = _states(instance).get((InstigatorType.SENSOR, sensor))
    if state is None:
        return None
    ended = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1, statuses=[TickStatus.SUCCESS, TickStatus.SKIPPED])
    return _utc(ended[0].timestamp) if ended else None


def spoke(instance: dg.DagsterInstance, sensor: str) -> bool:
    """Whether that sensor was, at its last tick, the one of this cluster's desks that tells; true where nobody knows."""
    state = _states(instance).get((InstigatorType.SENSOR, sensor))
    cursor = getattr(state.instigator_data, "cursor", None) if state else None
    moment = datetime.now(UTC)
    return alerts.begun(cursor, moment, timedelta(0)).spoke


def _asked_for(instance: dg.DagsterInstance, repository: dg.RepositoryDefinition) -> dict[dg.AssetCheckKey, datetime]:
    """For each check that a schedule's job evaluates: the newest tick but one that launched it, so that a whole round has passed since."""
    states, due = _states(instance), dict[dg.AssetCheckKey, datetime]()
    for schedule in repository.schedule_defs:
        state = states.get((InstigatorType.SCHEDULE, schedule.name))
        if state is None:
            continue
        launched = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=2, statuses=[TickStatus.SUCCESS])
        if len(launched) < 2:
            continue
        for key in repository.get_job(schedule.job_name).asset_layer.asset_graph.asset_check_keys:
            due[key] = max(due.get(key, _utc(0)), _utc(launched[1].timestamp))
    return due


def _states(instance: dg.DagsterInstance) -> dict[tuple[InstigatorType, str], InstigatorState]:
    return {(state.instigator_type, state.instigator_name): state for state in instance.all_instigator_state()}


def _runs(state: InstigatorState | None) -> bool:
    """Whether nobody stopped it; one that the daemon has not yet seen is not stopped."""
    return state is None or state.status != InstigatorStatus.STOPPED


def _ticks(instance: dg.DagsterInstance, state: InstigatorState | None) -> Iterator[Tick]:
    ticks: list[InstigatorTick] = []
    if state is not None:
        ticks = list(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=TICKS))
    for tick in ticks:
        # the class and the message; a traceback may quote anything
        error = (tick.error.message.strip() if tick.error else "") or "it failed without a message"
        yield Tick(_utc(tick.timestamp), tick.status == TickStatus.FAILURE, error if tick.status == TickStatus.FAILURE else "")


def _subject(run: dg.DagsterRun) -> str:
    """The operation (of which database), or the job that is none; a run that only planned is told apart."""
    of = f" of {run.tags[DATABASE]}" if OPERATION in run.tags and DATABASE in run.tags else ""
    return (run.tags.get(OPERATION) or run.job_name) + of + (" (plan)" if run.tags.get(MODE) == "plan" else "")


def _last_success(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime | None:
    """When the run's subject last succeeded."""
    success = [dg.DagsterRunStatus.SUCCESS]
    same = {tag: run.tags[tag] for tag in (OPERATION, DATABASE) if tag in run.tags}
    wanted = dg.RunsFilter(statuses=success, tags=same) if OPERATION in same else dg.RunsFilter(job_name=run.job_name, statuses=success)
    records = instance.get_run_records(wanted, limit=MOST_SUBJECTS)
    return max((_ended(record) for record in records if _subject(record.dagster_run) == _subject(run)), default=None)


def _said(instance: dg.DagsterInstance, run_id: str) -> str:
    """What the failed step said; else what Dagster said of the run."""
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    told = ""
    for record in instance.get_records_for_run(run_id, of_type=kinds, limit=5).records:
        event = record.event_log_entry.dagster_event
        if event is not None and event.is_step_failure:
            failure = event.step_failure_data
            said = failure.user_failure_data.description if failure.user_failure_data else None
            return said or (failure.error.message if failure.error else "") or event.message or ""
        told = told or (event.message if event else "") or ""
    return told


def _ended(record: dg.RunRecord) -> datetime:
    if record.end_time is not None:
        return _utc(record.end_time)
    stamp = record.update_timestamp
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _utc(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
