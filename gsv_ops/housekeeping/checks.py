"""The desk's own checks, run by hand; the sensors `watch_desk` and `tell_alerts` evaluate them by themselves."""

from datetime import UTC, datetime

import dagster as dg

from gsv_ops.housekeeping import state, tell
from gsv_ops.housekeeping.assets import ALERTS_KEY, FREEZE_KEY
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.report import check_result


@dg.asset_check(asset=FREEZE_KEY, name=state.NOT_FROZEN, description="No freeze holds. A warning, since somebody wanted it so.")
def desk_is_not_frozen(desk: dg.ResourceParam[DeskFactory]) -> dg.AssetCheckResult:
    """The check, as the cluster says now."""
    return check_result(state.check(state.look(desk, datetime.now(UTC))), FREEZE_KEY)


@dg.asset_check(
    asset=ALERTS_KEY, name=tell.SOMEBODY, description="Where the desk acts by itself, there is somebody whom it tells what goes wrong."
)
def somebody_is_told(desk: dg.ResourceParam[DeskFactory]) -> dg.AssetCheckResult:
    """The check, by the settings as they are now; nothing is sent."""
    if not desk.binding.automation:
        return check_result(tell.silent("this desk does nothing by itself (automation is off), so it tells nobody"), ALERTS_KEY)
    return check_result(tell.reach(desk).check, ALERTS_KEY)
