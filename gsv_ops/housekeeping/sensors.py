"""What the desk watches of itself: its Lease and the freeze, and what it tells of what goes wrong."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg

from gsv_ops.housekeeping import alerts, history, judge, state, tell, voice
from gsv_ops.housekeeping.assets import ALERTS_KEY, FREEZE_KEY
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
        description="If this desk holds the Lease, tells Alertmanager and the webhook "
        "of failed runs, failed or overdue checks, and schedules or sensors that error or "
        "stand still, each once and when it is over. It changes nothing, and goes on while the desk is frozen.",
    )
    def tell_alerts(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult:
        now = datetime.now(UTC)
        known = alerts.begun(context.cursor, now, GAP)
        own = voice.of(desk, now, known.spoke)
        if own.speaks:
            firing = _firing(context, desk.binding, known, now)
            if own.unknown:
                firing.append(judge.nobody_acts(own.unknown, desk.binding.environment or "none", _url(desk.binding), now))
            known, word, reached = tell.everybody(desk, known, firing, now)
            seen = reached.check
        else:
            word, seen = own.why_silent, tell.silent(own.why_silent)
        shown = f"{seen.passed}: {seen.description}"
        events = [] if shown == known.shown else [evaluation(check_result(seen, ALERTS_KEY))]
        known = replace(known, spoke=own.speaks, shown=shown)
        return dg.SensorResult(skip_reason=dg.SkipReason(word), cursor=alerts.cursor(known), asset_events=events)

    return [watch_desk, tell_alerts]


def _firing(context: dg.SensorEvaluationContext, bound: Binding, known: alerts.Known, now: datetime) -> list[alerts.Alert]:
    """Everything that is wrong now. What cannot be read is wrong too."""
    environment, instance, repository = bound.environment or "none", context.instance, context.repository_def
    assert repository is not None
    settings = bound.spec.desk.alerts
    after = max(known.since, now - timedelta(seconds=settings.run_failure_seconds))
    own_after = max(known.since, now - timedelta(seconds=settings.own_run_failure_seconds))
    url = _url(bound)
    sources: dict[str, Callable[[], list[alerts.Alert]]] = {
        "runs": lambda: judge.failed_runs(history.failed_runs(instance, repository, after, own_after), environment, url),
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


def _url(bound: Binding) -> str:
    return tell.desk_url(bound.spec.desk.alerts)
