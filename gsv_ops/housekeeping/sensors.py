"""What the desk watches of itself: its Lease and the freeze, and what it tells of what goes wrong."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from gsv_ops.housekeeping import alerts, history, judge, state, tell
from gsv_ops.housekeeping.assets import FREEZE_KEY
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.freeze import UNFREEZE
from gsv_ops.operations.report import check_result, evaluation, metadata
from gsv_ops.platform import environments
from gsv_ops.platform.environments import Binding

WATCH = "watch_desk"
WATCH_SECONDS = 30
TELL = "tell_alerts"
TELL_SECONDS = 60
GAP = timedelta(minutes=5)
"""Without a tick for so long, this desk was down."""

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
        seen = state.look(desk, now)
        # what no freeze ever stops: so the answer is of this desk and its Lease
        word = gate.why_not(desk, UNFREEZE, now).removeprefix(f"{UNFREEZE} was not started: ")
        word = f"{word or 'this desk acts here: it holds the Lease'}. It is {seen.freeze or seen.unknown or 'not frozen'}."
        if seen.mark == context.cursor:
            return dg.SensorResult(skip_reason=dg.SkipReason(word), cursor=seen.mark)
        check = check_result(state.check(seen), FREEZE_KEY)
        shown = metadata(state.facts(seen.freeze)) if seen.freeze else {}
        events: list[Event] = [dg.AssetObservation(FREEZE_KEY, description=seen.unknown or seen.mark, metadata=shown), evaluation(check)]
        return dg.SensorResult(asset_events=events, cursor=seen.mark)

    @dg.sensor(
        name=TELL,
        minimum_interval_seconds=TELL_SECONDS,
        default_status=running,
        description="Tells Alertmanager and the webhook of failed runs, failed or overdue checks, and schedules or sensors that error or "
        "stand still, each once and when it is over. It changes nothing, and goes on while the desk is frozen.",
    )
    def tell_alerts(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult:
        now = datetime.now(UTC)
        known = alerts.begun(context.cursor, now, GAP)
        firing = _firing(context, desk.binding, known, now)
        known, word = tell.everybody(desk, known, firing, now)
        return dg.SensorResult(skip_reason=dg.SkipReason(word), cursor=alerts.cursor(known))

    return [watch_desk, tell_alerts]


def _firing(context: dg.SensorEvaluationContext, bound: Binding, known: alerts.Known, now: datetime) -> list[alerts.Alert]:
    """Everything that is wrong now. What cannot be read is wrong too."""
    environment, instance, repository = bound.environment or "none", context.instance, context.repository_def
    assert repository is not None
    settings = bound.spec.desk.alerts
    after = max(known.since, now - timedelta(seconds=settings.run_failure_seconds))
    url = tell.desk_url(settings)
    sources: dict[str, Callable[[], list[alerts.Alert]]] = {
        "runs": lambda: judge.failed_runs(history.failed_runs(instance, after), environment, url),
        "checks": lambda: judge.checks(history.checks(instance, repository), environment, url, now),
        "schedules and sensors": lambda: judge.ticking(
            history.ticking(instance, repository, TELL, now), environment, url, now, known.up_since
        ),
    }
    found = []
    for what, source in sources.items():
        try:
            found += source()
        except Exception as problem:  # noqa: BLE001  one source that fails must not silence the others
            found.append(judge.cannot_watch(what, problem, environment, url, now))
    return found
