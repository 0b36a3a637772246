"""The dead man's switch, which something outside notices when the desk is silent; and the desk's own records, tidied every night."""

from datetime import UTC, datetime, timedelta

import dagster as dg

from gsv_ops.housekeeping import history, tell, voice
from gsv_ops.housekeeping.checks import desk_is_not_frozen
from gsv_ops.housekeeping.jobs import TIDY
from gsv_ops.housekeeping.notify import NotTold
from gsv_ops.housekeeping.sensors import TELL, TELL_SECONDS
from gsv_ops.housekeeping.tidy_records import TIDY_RECORDS
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform import environments

TELLING_IS_LATE = timedelta(seconds=5 * TELL_SECONDS)


def schedules() -> list[dg.ScheduleDefinition]:
    """The schedules, running from the start only in an environment with `automation: true`."""
    bound = environments.binding()
    running = dg.DefaultScheduleStatus.RUNNING if bound.automation else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name="heartbeat",
        target=dg.AssetSelection.checks(desk_is_not_frozen),  # a schedule needs one; this starts nothing
        cron_schedule=bound.spec.desk.alerts.heartbeat,
        execution_timezone="UTC",
        default_status=running,
        description="Tells Alertmanager that the desk is alive, as long as it holds "
        f"the Lease and the sensor {TELL} ticks too. It starts no run.",
    )
    def heartbeat(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SkipReason:
        now = datetime.now(UTC)
        last = history.last_tick(context.instance, TELL)
        if last is None or now - last > TELLING_IS_LATE:
            when = f"since {last:%Y-%m-%d %H:%M:%S %Z}" if last else "ever"
            return dg.SkipReason(f"withheld, so that something outside raises the alarm: {TELL} has not ticked to its end {when}")
        own = voice.of(desk, now, history.spoke(context.instance, TELL))
        if not own.speaks:
            return dg.SkipReason(f"no heartbeat of this desk: {own.why_silent}")
        try:
            return dg.SkipReason(tell.heartbeat(desk, now))
        except NotTold as problem:
            raise dg.Failure(f"the heartbeat was not told: {problem}") from None

    @dg.schedule(
        name="tidy_records_nightly",
        job=TIDY,
        cron_schedule=bound.spec.desk.records.tidy,
        execution_timezone="UTC",
        default_status=running,
        description="Removes what this desk wrote down and nobody needs any more, by the days in platform.yaml.",
    )
    def tidy(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, TIDY_RECORDS.name, datetime.now(UTC)):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_config={"mode": "apply"})

    return [heartbeat, tidy]
