"""When the reports are made by themselves. They change nothing, so they are made while the desk is frozen too."""

import dagster as dg

from gsv_ops.maintenance.assets import LEFTOVERS, LOGS, STATUS
from gsv_ops.platform import environments


def schedules() -> list[dg.ScheduleDefinition]:
    """The schedules, running from the start only in an environment with `automation: true`."""
    bound = environments.binding()
    reports = bound.spec.reports
    running = dg.DefaultScheduleStatus.RUNNING if bound.automation else dg.DefaultScheduleStatus.STOPPED

    def scheduled(name: str, job: object, cron: str, description: str) -> dg.ScheduleDefinition:
        return dg.ScheduleDefinition(
            name=name,
            job=job,  # type: ignore[arg-type]
            cron_schedule=cron,
            execution_timezone=reports.time_zone,
            default_status=running,
            description=description,
        )

    @dg.schedule(
        name="report_logs_daily",
        job=LOGS.job,
        cron_schedule=reports.logs.schedule,
        execution_timezone=reports.time_zone,
        default_status=running,
        description="Tells what containers' logs take, where the environment enables that.",
    )
    def logs(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not reports.logs.enabled:
            return dg.SkipReason("log_report is not enabled for this environment: reports.logs.enabled in platform.yaml")
        return dg.RunRequest()

    return [
        scheduled("refresh_platform_status", STATUS.job, reports.status.schedule, "Refreshes the page of the platform's state."),
        scheduled("find_leftovers_weekly", LEFTOVERS.job, reports.leftovers.schedule, "Lists what nothing uses any more."),
        logs,
    ]
