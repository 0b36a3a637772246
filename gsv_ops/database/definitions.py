"""What the database room brings to Dagster."""

import dagster as dg

from gsv_ops.database.assets import BACKUP, PROOF
from gsv_ops.database.checks import CHECK, database_conditions
from gsv_ops.database.jobs import SWEEP
from gsv_ops.database.schedules import schedules
from gsv_ops.database.sensors import sensors


def definitions() -> dg.Definitions:
    """The room's assets, jobs and schedules; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(
        assets=[BACKUP.asset, PROOF.asset],
        asset_checks=[database_conditions],
        jobs=[BACKUP.job, BACKUP.plan_job, PROOF.job, PROOF.plan_job, SWEEP, CHECK],
        schedules=schedules(),
        sensors=sensors(),
    )
