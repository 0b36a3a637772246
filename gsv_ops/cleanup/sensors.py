"""Starts a cleanup when more may go than is good, and shows how much that is."""

from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import DagsterRunStatus

from gsv_ops.cleanup import counting, threshold
from gsv_ops.cleanup.assets import PRUNABLE_KEY
from gsv_ops.cleanup.jobs import JOBS, PODS, REPLICASETS
from gsv_ops.cleanup.schedules import config
from gsv_ops.cleanup.threshold import Memory
from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.report import metadata
from gsv_ops.platform import environments
from gsv_ops.platform.spec import CleanupLimits

LOOK_SECONDS = 6.0
"""For the count: that and the gate's questions fit into one tick."""
GOING_ON = [
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


def sensors() -> list[dg.SensorDefinition]:
    """A sensor for each cleanup, running from the start only in an environment with `automation: true`."""
    bound = environments.binding()
    running = dg.DefaultSensorStatus.RUNNING if bound.automation else dg.DefaultSensorStatus.STOPPED
    return [_past_threshold(job, bound.spec.cleanup, running) for job in (REPLICASETS, JOBS, PODS)]


def _past_threshold(job: dg.JobDefinition, limits: CleanupLimits, running: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    name = job.name
    does = "which deletes" if limits.scheduled_deletions else "which only plans"

    @dg.sensor(
        name=f"{name}_past_threshold",
        job_name=name,  # a job itself would make Dagster warn of a parameter of its own
        minimum_interval_seconds=limits.timetable.count_every_seconds,
        default_status=running,
        description=f"Counts what {name} may find, and starts it, {does}, when that is above the threshold in platform.yaml.",
    )
    def past_threshold(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult | dg.SkipReason:
        now = datetime.now(UTC)
        if reason := gate.why_not(desk, name, now):
            return dg.SkipReason(reason)
        spec = desk.binding.spec
        try:
            found = gate.within(LOOK_SECONDS, lambda: counting.count(name, desk.kube, spec, now))
        except (KubeError, gate.NoAnswer) as problem:
            return dg.SkipReason(f"{name} was not started, since what may go could not be counted: {problem}")
        before = Memory.read(context.cursor)
        going_on = context.instance.get_runs_count(dg.RunsFilter(job_name=name, statuses=GOING_ON)) > 0
        times = spec.cleanup.timetable
        start, memory, said = threshold.due(
            found, threshold.threshold(name, times), before, going_on, timedelta(seconds=times.again_after_seconds), now
        )
        facts = metadata({f"{name}: may go": found.may_go, f"{name}: seen": found.seen})
        # with the moment, for a run key blocks for ever
        request = dg.RunRequest(run_key=f"{name}-{now:%Y%m%dT%H%M%S}", run_config=config(name, spec.cleanup))
        return dg.SensorResult(
            run_requests=[request] if start else [],
            skip_reason=None if start else dg.SkipReason(said),
            asset_events=[dg.AssetObservation(PRUNABLE_KEY, description=f"{name}: {said}", metadata=facts)]
            if memory.counted != before.counted
            else [],
            cursor=memory.write(),
        )

    return past_threshold
