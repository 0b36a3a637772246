"""What of Dagster's own records is worth an alert: pure rules over what `history.py` has read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from gsv_ops.housekeeping.alerts import Alert, short

RUN_FAILED = "GsvOpsRunFailed"
CHECK_FAILED = "GsvOpsCheckFailed"
CHECK_OVERDUE = "GsvOpsCheckOverdue"
TICK_FAILED = "GsvOpsTickFailed"
STANDS_STILL = "GsvOpsStandsStill"
SWITCHED_OFF = "GsvOpsSwitchedOff"
CANNOT_WATCH = "GsvOpsCannotWatch"
NOBODY_ACTS = "GsvOpsNobodyActs"
HEARTBEAT = "GsvOpsHeartbeat"

SCHEDULE_SLACK = timedelta(minutes=10)
SENSOR_SLACK = timedelta(minutes=10)
SENSOR_INTERVALS = 10
FOUR_LINES = "\nChanged: "
NEXT = "Next: "


@dataclass(frozen=True)
class FailedRun:
    """The first failure of a job since it last succeeded. `said` is what its failed step, or Dagster, told."""

    subject: str
    job: str
    run_id: str
    failed_at: datetime
    by_itself: bool
    said: str


@dataclass(frozen=True)
class CheckState:
    """A check's newest evaluation; None where there never was one. `due`: a schedule asked for one then, and a whole round passed since."""

    asset: str
    name: str
    evaluated_at: datetime | None
    passed: bool
    severe: bool
    said: str
    due: datetime | None


@dataclass(frozen=True)
class Tick:
    """One tick of a schedule or sensor."""

    at: datetime
    failed: bool
    error: str = ""


@dataclass(frozen=True)
class Ticking:
    """A schedule or sensor that the code wants to run: its ticks, newest first, and when the newest should have been at the latest."""

    kind: Literal["schedule", "sensor"]
    name: str
    running: bool
    ticks: tuple[Tick, ...]
    expected: datetime


def failed_runs(found: Iterable[FailedRun], environment: str, desk_url: str) -> list[Alert]:
    """One alert for each job that failed and has not succeeded since. Critical where nobody was looking."""
    alerts = []
    for run in found:
        cause, to_do = _cause_and_next(run.said)
        alerts.append(
            Alert(
                RUN_FAILED,
                {"environment": environment, "operation": run.subject},
                "critical" if run.by_itself else "warning",
                f"{run.subject} failed in {environment} at {run.failed_at:%Y-%m-%d %H:%M:%S %Z}",
                cause,
                to_do or "open the run and read its last lines",
                f"{desk_url}/runs/{run.run_id}",
                run.failed_at,
            )
        )
    return alerts


def checks(found: Iterable[CheckState], environment: str, desk_url: str, now: datetime) -> list[Alert]:
    """One alert for each check that says that something is wrong, and for each that says nothing any more."""
    alerts = []
    for check in found:
        subject = {"environment": environment, "asset": check.asset, "check": check.name}
        link = f"{desk_url}/assets/{check.asset}?view=checks&checkDetail={check.name}"
        if check.evaluated_at is not None and not check.passed:
            summary = f"{check.name} does not hold for {check.asset} in {environment}"
            to_do = "open the check: its metadata is the evidence; the asset's job says how to mend it"
            severity: Literal["critical", "warning"] = "critical" if check.severe else "warning"
            alerts.append(Alert(CHECK_FAILED, subject, severity, summary, check.said, to_do, link, check.evaluated_at))
        if check.due is not None and (check.evaluated_at is None or check.evaluated_at < check.due):
            last = f"last evaluated at {check.evaluated_at:%Y-%m-%d %H:%M:%S %Z}" if check.evaluated_at else "never evaluated"
            summary = f"{check.name} of {check.asset} in {environment} was asked for and not evaluated"
            cause = f"{last}; a schedule asked for it at {check.due:%Y-%m-%d %H:%M:%S %Z}, and again since"
            alerts.append(Alert(CHECK_OVERDUE, subject, "critical", summary, cause, "look for runs that wait, fail or hang", link, now))
    return alerts


def ticking(found: Iterable[Ticking], environment: str, desk_url: str, now: datetime, up_since: datetime) -> list[Alert]:
    """One alert for each schedule or sensor that errors, stands still, or was switched off though the code wants it to run.

    A sensor errors when its two newest ticks failed, a schedule when its newest did. Nothing stands still before this desk was up for as
    long as it would have had to tick.
    """
    alerts = []
    for one in found:
        subject = {"environment": environment, one.kind: one.name}
        link = f"{desk_url}/locations/gsv_ops/{one.kind}s/{one.name}"
        what = f"{one.kind} {one.name} in {environment}"
        needed = 2 if one.kind == "sensor" else 1
        newest = one.ticks[0].at if one.ticks else None
        if not one.running:
            cause = "somebody stopped it in the UI; the code and the environment want it to run"
            alerts.append(
                Alert(SWITCHED_OFF, subject, "warning", f"{what} is switched off", cause, "start it again, or freeze the desk", link, now)
            )
            continue
        if len(one.ticks) >= needed and all(tick.failed for tick in one.ticks[:needed]):
            to_do = "open its newest tick; it is tried again at the next one"
            alerts.append(
                Alert(TICK_FAILED, subject, "critical", f"{what} errors", short(one.ticks[0].error), to_do, link, one.ticks[0].at)
            )
        if (newest is None or newest < one.expected) and up_since < one.expected:
            last = f"its last tick was at {newest:%Y-%m-%d %H:%M:%S %Z}" if newest else "it never ticked"
            cause = f"{last}; it should have ticked at {one.expected:%Y-%m-%d %H:%M:%S %Z} at the latest"
            to_do = "look at the daemon's page; restart the daemon if its thread hangs"
            alerts.append(Alert(STANDS_STILL, subject, "critical", f"{what} stands still", cause, to_do, link, now))
    return alerts


def cannot_watch(what: str, problem: Exception, environment: str, desk_url: str, now: datetime) -> Alert:
    """That one of the desk's records cannot be read, so that nothing is known of it."""
    return Alert(
        CANNOT_WATCH,
        {"environment": environment, "what": what},
        "critical",
        f"the desk of {environment} cannot watch its {what}",
        short(f"{type(problem).__name__}: {problem}"),
        "look at Dagster's storage; until it is mended, nothing is told of them",
        f"{desk_url}/deployment/health",
        now,
    )


def nobody_acts(problem: str, environment: str, desk_url: str, now: datetime) -> Alert:
    """That no desk is known to hold the Lease: then none acts by itself, and each may tell."""
    return Alert(
        NOBODY_ACTS,
        {"environment": environment},
        "critical",
        f"no desk of {environment} is known to hold the Lease, so nothing happens by itself",
        short(problem),
        "look whether the API server answers and desk.lease_namespace of platform.yaml exists; the ticks of watch_desk say who acts",
        f"{desk_url}/locations/gsv_ops/sensors/watch_desk",
        now,
    )


def heartbeat(environment: str, desk_url: str, now: datetime) -> Alert:
    """The alert that always fires. Route it to something outside that raises the alarm when it ends."""
    return Alert(
        HEARTBEAT,
        {"environment": environment},
        "none",
        f"the desk of {environment} is alive",
        "This alert always fires. When it ends, the desk's daemon, its schedules or its alerts are silent, and no other alert will come.",
        "when it has ended: look whether the desk's daemon runs (gsv-ops' page Deployment, Daemons)",
        f"{desk_url}/deployment/health",
        now,
    )


def _cause_and_next(said: str) -> tuple[str, str]:
    """What a failed run said without its four lines, and the last of them."""
    cause, _, ending = said.partition(FOUR_LINES)
    to_do = next((line.removeprefix(NEXT) for line in ending.splitlines() if line.startswith(NEXT)), "")
    return short(cause.strip() or "the run said nothing"), to_do
