"""Whether this desk may act by itself now: asked by every tick of a schedule or a sensor that would start a change.

Asking also renews the desk's Lease, so that a desk whose ticks run keeps it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import freeze, lease
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform.environments import ENVIRONMENT_VARIABLE, WrongCluster
from gsv_ops.platform.spec import InvalidSpec

SECONDS = 12.0
"""For all questions together: a tick has to end well under 20 s, and a verb alone may try for a minute."""


def why_not(factory: DeskFactory, operation: str, now: datetime) -> str:
    """Empty if a schedule or a sensor may start the operation now, else the reason as an operator reads it. Never raises.

    In this order: the environment lets desks act by themselves; this is its cluster; this desk holds the Lease; no freeze stops the
    operation. `now`: this desk's clock.
    """
    reason = _within(SECONDS, lambda: _why_not(factory, operation, now))
    return f"{operation} was not started: {reason}" if reason else ""


def holding(factory: DeskFactory, now: datetime) -> lease.Holding:
    """The Lease, taken or renewed if this desk can. Raises KubeError, InvalidSpec."""
    limits = factory.binding.spec.desk
    holder = lease.identity(factory.binding.environment or "none")
    return lease.hold(factory.kube, limits.lease_namespace, limits.lease_seconds, holder, now)


def _why_not(factory: DeskFactory, operation: str, now: datetime) -> str:
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
        return freeze.why_stopped(factory.kube, namespace, operation, now)
    except (KubeError, WrongCluster, InvalidSpec) as problem:
        return str(problem)


def _within(seconds: float, ask: Callable[[], str]) -> str:
    """The answer, or that there was none in time. What is asked goes on behind and ends by its own deadlines."""
    answers: list[str] = []

    def run() -> None:
        try:
            answers.append(ask())
        except Exception as problem:  # noqa: BLE001  a tick is told the reason; the alert sensor tells of defects
            answers.append(f"unexpected {type(problem).__name__}: {problem}")

    thread = threading.Thread(target=run, name="gate", daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else f"the cluster gave no answer within {seconds:.0f} s, so nothing is known of it."
