"""What the desk shows of itself in Dagster."""

import dagster as dg

from gsv_ops.housekeeping.assets import ALERTS_ASSET, FREEZE_ASSET
from gsv_ops.housekeeping.checks import desk_is_not_frozen, somebody_is_told
from gsv_ops.housekeeping.jobs import FREEZE, TIDY, UNDO, UNFREEZE
from gsv_ops.housekeeping.schedules import schedules
from gsv_ops.housekeeping.sensors import sensors


def definitions() -> dg.Definitions:
    """The room's jobs, asset, check and sensors; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(
        assets=[ALERTS_ASSET, FREEZE_ASSET],
        asset_checks=[desk_is_not_frozen, somebody_is_told],
        jobs=[FREEZE, TIDY, UNDO, UNFREEZE],
        schedules=schedules(),
        sensors=sensors(),
    )
