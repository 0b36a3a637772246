"""The desk's own check, run by hand; the sensor `watch_desk` evaluates it by itself."""

from datetime import UTC, datetime

import dagster as dg

from gsv_ops.housekeeping import state
from gsv_ops.housekeeping.assets import FREEZE_KEY
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.report import check_result


@dg.asset_check(asset=FREEZE_KEY, name=state.NOT_FROZEN, description="No freeze holds. A warning, since somebody wanted it so.")
def desk_is_not_frozen(desk: dg.ResourceParam[DeskFactory]) -> dg.AssetCheckResult:
    """The check, as the cluster says now."""
    return check_result(state.check(state.look(desk, datetime.now(UTC))), FREEZE_KEY)
