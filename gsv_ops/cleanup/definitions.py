"""What the cleanup room brings to Dagster."""

import dagster as dg

from gsv_ops.cleanup.assets import IMAGES, PRUNABLE
from gsv_ops.cleanup.jobs import IMAGES_PRUNED, JOBS, PODS, REPLICASETS
from gsv_ops.cleanup.schedules import schedules
from gsv_ops.cleanup.sensors import sensors


def definitions() -> dg.Definitions:
    """The room's jobs, what they may find, and when they start by themselves; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(
        assets=[PRUNABLE, IMAGES.asset],
        asset_checks=[IMAGES.checks],
        jobs=[REPLICASETS, JOBS, PODS, IMAGES_PRUNED, IMAGES.job],
        schedules=schedules(),
        sensors=sensors(),
    )
