"""What the desk watches of itself: its Lease and the freeze."""

from datetime import UTC, datetime

import dagster as dg

from gsv_ops.housekeeping import state
from gsv_ops.housekeeping.assets import FREEZE_KEY
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.report import check_result, metadata
from gsv_ops.platform import environments

WATCH = "watch_desk"
WATCH_SECONDS = 30

Event = dg.AssetObservation | dg.AssetMaterialization | dg.AssetCheckEvaluation


def sensors() -> list[dg.SensorDefinition]:
    """The sensors, running from the start only in an environment with `automation: true`."""
    bound = environments.binding()
    running = dg.DefaultSensorStatus.RUNNING if bound.automation else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=WATCH,
        minimum_interval_seconds=WATCH_SECONDS,
        default_status=running,
        description="Keeps this desk's Lease, and shows on desk/freeze whether the desk is frozen. Its ticks say which desk acts here.",
    )
    def watch_desk(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult:
        now = datetime.now(UTC)
        word = gate.why_not(desk, WATCH, now).removeprefix(f"{WATCH} was not started: ")
        word = word or "this desk acts here: it holds the Lease, and no freeze holds"
        seen = state.look(desk, now)
        if seen.mark == context.cursor:
            return dg.SensorResult(skip_reason=dg.SkipReason(word), cursor=seen.mark)
        check = check_result(state.check(seen), FREEZE_KEY)
        shown = metadata(state.facts(seen.freeze)) if seen.freeze else {}
        events: list[Event] = [dg.AssetObservation(FREEZE_KEY, description=seen.unknown or seen.mark, metadata=shown), _evaluation(check)]
        return dg.SensorResult(asset_events=events, cursor=seen.mark)

    return [watch_desk]


def _evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """A check's result as the event that a sensor can report without a run."""
    assert result.asset_key is not None
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=bool(result.passed),
        severity=result.severity,
        description=result.description,
        metadata=dict(result.metadata),
    )
