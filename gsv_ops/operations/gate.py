"""Whether this desk may act by itself now: asked by every tick of a schedule or a sensor that would start a change.

Asking also renews the desk's Lease, so that a desk whose ticks run keeps it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import NoReturn, TypeVar

from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import freeze, lease
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform.environments import ENVIRONMENT_VARIABLE, WrongCluster
from gsv_ops.platform.spec import InvalidSpec

SECONDS = 12.0
"""For all questions together: a tick has to end well under 20 s, and a verb alone may try for a minute."""

T = TypeVar("T")


class NoAnswer(Exception):
    """What was asked of the cluster was not answered in time."""


def why_not(factory: DeskFactory, operation: str, now: datetime) -> str:
    """Empty if a schedule or a sensor may start the operation now, else the reason as an operator reads it. Never raises.

    In this order: the environment lets desks act by themselves; this is its cluster; this desk holds the Lease; no freeze stops the
    operation. `now`: this desk's clock.
    """
    return _told(operation, lambda: _why_not_here(factory, now) or _why_stopped(factory, operation, now))


def why_no_look(factory: DeskFactory, what: str, now: datetime) -> str:
    """The same for what only looks: a freeze stops changes, and whoever froze the desk wants to see what happens meanwhile."""
    return _told(what, lambda: _why_not_here(factory, now))


def holding(factory: DeskFactory, now: datetime) -> lease.Holding:
    """The Lease, taken or renewed if this desk can. Raises KubeError, InvalidSpec."""
    limits = factory.binding.spec.desk
    holder = lease.identity(factory.binding.environment or "none")
    return lease.hold(factory.kube, limits.lease_namespace, limits.lease_seconds, holder, now)


def within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer, or what it raised; NoAnswer if there was none in time. What was asked goes on behind and ends by its own deadlines."""
    answers: list[Callable[[], T]] = []

    def run() -> None:
        try:
            answer = ask()
            answers.append(lambda: answer)
        except Exception as problem:  # noqa: BLE001  handed over to the caller's thread
            answers.append(partial(_raise, problem))

    thread = threading.Thread(target=run, name="within", daemon=True)
    thread.start()
    thread.join(seconds)
    if not answers:
        raise NoAnswer(f"the cluster gave no answer within {seconds:.0f} s, so nothing is known of it")
    return answers[0]()


def _told(what: str, why: Callable[[], str]) -> str:
    try:
        reason = within(SECONDS, why)
    except NoAnswer as problem:
        reason = str(problem)
    except Exception as problem:  # noqa: BLE001  unknown is never good, and a tick that raises says less than one that is skipped
        reason = f"unexpected {type(problem).__name__}: {problem}"
    return f"{what} was not started: {reason}" if reason else ""


def _raise(problem: Exception) -> NoReturn:
    raise problem


def _why_not_here(factory: DeskFactory, now: datetime) -> str:
    try:
        bound = factory.binding
        if bound.environment is None:
            return f"{ENVIRONMENT_VARIABLE} is not set, so this desk does nothing by itself. Set it where the code location is started."
        if not bound.automation:
            return f"environment {bound.environment!r} has automation: false in platform.yaml, so desks do nothing by themselves there."
        factory.check()
        namespace = bound.spec.desk.lease_namespace
        held = holding(factory, now)
        if not held.ours:
            return (
                f"another desk acts here: {held}. This desk takes over when that one is silent for longer. "
                f"Lease {lease.NAME} in namespace {namespace}."
            )
    except (KubeError, WrongCluster, InvalidSpec) as problem:
        return str(problem)
    return ""


def _why_stopped(factory: DeskFactory, operation: str, now: datetime) -> str:
    try:
        return freeze.why_stopped(factory.kube, factory.binding.spec.desk.lease_namespace, operation, now)
    except (KubeError, InvalidSpec) as problem:
        return str(problem)
