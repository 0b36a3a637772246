"""What the database room does by itself, where the environment allows it."""

import dagster as dg

from gsv_ops.database.jobs import SWEEP
from gsv_ops.platform import environments

SWEEP_CRON = "17 * * * *"


def schedules() -> list[dg.ScheduleDefinition]:
    """The schedules, running from the start only in an environment with `automation: true`."""
    automation = environments.binding().automation
    return [
        dg.ScheduleDefinition(
            name="sweep_scratch_clusters_hourly",
            job=SWEEP,
            cron_schedule=SWEEP_CRON,
            execution_timezone="UTC",
            run_config={"mode": "apply"},
            default_status=dg.DefaultScheduleStatus.RUNNING if automation else dg.DefaultScheduleStatus.STOPPED,
            description="Removes what killed proofs left behind.",
        )
    ]
