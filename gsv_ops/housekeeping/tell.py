"""Tells everybody who is to be told, and says in one line what became of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gsv_ops.housekeeping import alerts, judge, notify
from gsv_ops.housekeeping.alerts import Alert, Entry, Known
from gsv_ops.housekeeping.notify import ALERTMANAGER, URL_VARIABLES, WEBHOOK, NotTold, Receiver
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Check, Fact
from gsv_ops.platform.spec import AlertSettings

SOMEBODY = "somebody_is_told"
NOBODY = "nobody is told: expected GSV_ALERTMANAGER_URL or GSV_WEBHOOK_URL, or desk.alerts in platform.yaml"
SECONDS = 4.0
"""For the Secret with the webhook's token: that and both receivers' attempts fit into a tick."""


@dataclass(frozen=True)
class Reach:
    """Who is to be told by this desk's settings (None: it cannot be, for a reason that `problems` has), and what went wrong."""

    receivers: Mapping[str, Receiver | None]
    problems: tuple[str, ...] = ()

    @property
    def check(self) -> Check:
        """`somebody_is_told`."""
        facts: dict[str, Fact] = {"receivers": ", ".join(sorted(self.receivers)) or "none", "number of receivers": len(self.receivers)}
        if not self.receivers:
            return Check(SOMEBODY, False, f"{NOBODY}. Until then no failure of this desk reaches anybody, nor its silence.", "WARN", facts)
        if self.problems:
            return Check(SOMEBODY, False, f"not told: {'; '.join(self.problems)}", "WARN", facts)
        silence = "" if ALERTMANAGER in self.receivers else f"; {URL_VARIABLES[ALERTMANAGER]} is not set, so nobody notices its silence"
        return Check(SOMEBODY, True, f"{facts['receivers']} can be told what goes wrong{silence}", "WARN", facts)


def silent(why: str) -> Check:
    """`somebody_is_told` of a desk that is not the one that tells."""
    return Check(SOMEBODY, True, why, "WARN")


def reach(desk: DeskFactory) -> Reach:
    """Whom this desk is to tell. Nothing is sent."""
    wanted: dict[str, Receiver | None] = {}
    problems = []
    for name, of in _receivers(desk).items():
        try:
            receiver = gate.within(SECONDS, of)
        except (NotTold, gate.NoAnswer) as problem:
            wanted[name] = None
            problems.append(str(problem))
        else:
            if receiver is not None:
                wanted[name] = receiver
    return Reach(wanted, tuple(problems))


def everybody(desk: DeskFactory, known: Known, firing: Iterable[Alert], now: datetime) -> tuple[Known, str, Reach]:
    """What is known once everybody was told who could be, that in words, and who could be. Others are tried again at the next tick."""
    bound = desk.binding
    settings, environment = bound.spec.desk.alerts, bound.environment or "none"
    keep = timedelta(seconds=settings.keep_seconds)
    reached = reach(desk)
    wanted, words = reached.receivers, list(reached.problems)
    known = alerts.reconcile(known, firing, now, list(wanted))
    for name, receiver in wanted.items():
        entries = alerts.standing(known, name) if name == ALERTMANAGER else alerts.news(known, name)
        if receiver is None or not entries:
            continue
        body: Any = alerts.alertmanager_body(entries, now, keep) if name == ALERTMANAGER else alerts.webhook_body(entries, environment)
        try:
            _post(receiver, body)
        except NotTold as problem:
            words.append(str(problem))
        else:
            known = alerts.told(known, name)
    nobody = [] if wanted else [NOBODY]
    summary = "; ".join(sorted(alert.summary for alert in known.firing.values())) or "nothing is wrong"
    said = ". ".join([alerts.short(summary), *nobody, *(f"NOT TOLD: {word}" for word in words)])
    return known, said, replace(reached, problems=tuple(words))


def heartbeat(desk: DeskFactory, now: datetime) -> str:
    """Tell Alertmanager that this desk is alive; what became of it, in words. Raises NotTold."""
    bound = desk.binding
    settings = bound.spec.desk.alerts
    receiver = notify.alertmanager(settings)
    if receiver is None:
        return "nobody is told: expected GSV_ALERTMANAGER_URL, or desk.alerts.alertmanager_url in platform.yaml"
    alive = Entry(judge.heartbeat(bound.environment or "none", desk_url(settings), now))
    _post(receiver, alerts.alertmanager_body([alive], now, timedelta(seconds=settings.keep_seconds)))
    return (
        f"alertmanager at {receiver.host} was told that this desk is alive; without news it raises the alarm in {settings.keep_seconds} s"
    )


def desk_url(settings: AlertSettings) -> str:
    """Where people open the desk; empty if nobody said, or not so that it can be used."""
    try:
        return notify.desk_url(settings)
    except NotTold:
        return ""


def _post(receiver: Receiver, body: Any) -> None:
    """Send it. Raises NotTold, also where an attempt hangs outside its own time limit: in a name server, or in an answer without end."""
    seconds = notify.ATTEMPTS * receiver.seconds + 1
    try:
        gate.within(seconds, lambda: receiver.post(body))
    except gate.NoAnswer:
        raise NotTold(f"{receiver.name} at {receiver.host}: no answer within {seconds:.0f} s") from None


def _receivers(desk: DeskFactory) -> dict[str, Callable[[], Receiver | None]]:
    settings = desk.binding.spec.desk.alerts
    return {
        ALERTMANAGER: lambda: notify.alertmanager(settings),
        WEBHOOK: lambda: notify.webhook(settings, desk.kube),
    }
