"""Which of several desks tells what goes wrong on a cluster: the one that acts there, which holds the Lease.

While nobody can say who holds it, a desk goes on as it was: the one that told tells on, since that is when somebody has to, and says that
it is not known; the one that was silent stays so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import gate, lease
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.platform.environments import ENVIRONMENT_VARIABLE, WrongCluster

SECONDS = 4.0
"""For the Lease: that and both receivers' attempts fit into a tick."""


@dataclass(frozen=True)
class Voice:
    """Whether this desk tells; if not, why not; and what keeps it from knowing who holds the Lease (empty: it is known)."""

    speaks: bool
    why_silent: str = ""
    unknown: str = ""


def of(factory: DeskFactory, now: datetime, spoke: bool) -> Voice:
    """This desk's voice now. `spoke`: whether it told at the last tick. Renews the Lease, or takes it where it is free."""
    try:
        return gate.within(SECONDS, lambda: _ask(factory, now))
    except (KubeError, gate.NoAnswer) as problem:
        silent = "" if spoke else f"another desk told last, and who holds the Lease {lease.NAME} now is not known: {problem}"
        return Voice(spoke, silent, str(problem))


def _ask(factory: DeskFactory, now: datetime) -> Voice:
    bound = factory.binding
    if bound.environment is None:
        return Voice(False, f"{ENVIRONMENT_VARIABLE} is not set, so this desk tells nobody")
    if not bound.automation:
        return Voice(False, f"environment {bound.environment!r} has automation: false in platform.yaml, so desks tell nobody there")
    try:
        factory.check()
    except WrongCluster as problem:
        return Voice(False, f"this desk tells nobody: {problem}")
    held = gate.holding(factory, now)
    return Voice(True) if held.ours else Voice(False, f"another desk tells what goes wrong here: {held.holder}, since {held.since}")
