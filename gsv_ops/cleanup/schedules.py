"""The cleanups every night and the image report every week, where the environment allows it; `cleanup` in platform.yaml says when."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.cleanup.assets import IMAGES
from gsv_ops.cleanup.jobs import JOBS, PODS, REPLICASETS
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform import environments
from gsv_ops.platform.spec import CleanupLimits


def schedules() -> list[dg.ScheduleDefinition]:
    """The schedules, running from the start only in an environment with `automation: true`."""
    bound = environments.binding()
    limits = bound.spec.cleanup
    running = dg.DefaultScheduleStatus.RUNNING if bound.automation else dg.DefaultScheduleStatus.STOPPED
    times = {REPLICASETS: limits.timetable.replicasets, JOBS: limits.timetable.jobs, PODS: limits.timetable.pods}
    report = dg.ScheduleDefinition(
        name="image_report_weekly",
        job=IMAGES.job,
        cron_schedule=limits.timetable.images,
        execution_timezone=limits.timetable.time_zone,
        default_status=running,
        description="Tells what the images on each node take. It changes nothing, so it runs also while the desk is frozen.",
    )
    return [*(_nightly(job, cron, limits, running) for job, cron in times.items()), report]


def config(job: str, limits: CleanupLimits) -> dict[str, Any]:
    """How a schedule or the sensor starts a cleanup: it only plans, until the environment lets it delete without a plan that was read."""
    mode = "apply" if limits.scheduled_deletions else "plan"
    return {"mode": mode, **({"keep": limits.timetable.keep} if job == REPLICASETS.name else {})}


def _nightly(job: dg.JobDefinition, cron: str, limits: CleanupLimits, running: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    does = "deletes what may go" if limits.scheduled_deletions else "plans what may go; nothing goes before somebody applies the plan"

    @dg.schedule(
        name=f"{job.name}_nightly",
        job=job,
        cron_schedule=cron,
        execution_timezone=limits.timetable.time_zone,
        default_status=running,
        description=f"Every night {job.name} {does} (cleanup.scheduled_deletions).",
    )
    def nightly(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, job.name, datetime.now(UTC)):
            return dg.SkipReason(reason)
        return dg.RunRequest(
            run_key=f"{job.name}-{context.scheduled_execution_time:%Y%m%dT%H%M}", run_config=config(job.name, desk.binding.spec.cleanup)
        )

    return nightly
