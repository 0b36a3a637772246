"""What the maintenance room brings to Dagster."""

import dagster as dg

from gsv_ops.maintenance.jobs import AUTOSCALING, RESOURCES, RESTART, SCALE


def definitions() -> dg.Definitions:
    """The room's jobs; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(jobs=[RESTART, SCALE, RESOURCES, AUTOSCALING])
