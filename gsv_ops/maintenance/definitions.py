"""What the maintenance room brings to Dagster."""

import dagster as dg

from gsv_ops.maintenance.assets import REPORTS
from gsv_ops.maintenance.jobs import AUTOSCALING, RESOURCES, RESTART, SCALE
from gsv_ops.maintenance.schedules import schedules


def definitions() -> dg.Definitions:
    """The room's jobs, reports and schedules; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(
        assets=[report.asset for report in REPORTS],
        asset_checks=[report.checks for report in REPORTS],
        jobs=[RESTART, SCALE, RESOURCES, AUTOSCALING, *(report.job for report in REPORTS)],
        schedules=schedules(),
    )
