"""What a desk can say of itself: whether it acts by itself here, and whether it is frozen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import freeze, gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.freeze import Freeze
from gsv_ops.operations.operation import Check, Fact, Timestamp
from gsv_ops.platform.environments import WrongCluster

NOT_FROZEN = "desk_is_not_frozen"
SECONDS = 6.0
"""For one question, so that it and the gate's fit into one tick."""


@dataclass(frozen=True)
class State:
    """The freeze that holds (None: none does), or why it is not known."""

    freeze: Freeze | None
    unknown: str = ""

    @property
    def mark(self) -> str:
        """The same as long as there is nothing new to show."""
        return "unknown" if self.unknown else str(self.freeze or "not frozen")


def look(factory: DeskFactory, now: datetime) -> State:
    """The freeze, as the cluster has it now. That of another cluster says nothing of this desk's."""

    def find() -> Object | None:
        factory.check()
        return freeze.find(factory.kube, factory.binding.spec.desk.lease_namespace)

    try:
        body = gate.within(SECONDS, find)
    except (KubeError, WrongCluster, gate.NoAnswer) as problem:
        return State(None, str(problem))
    found = freeze.of(body) if body else None
    return State(found if found and found.active(now) else None)


def check(state: State) -> Check:
    """`desk_is_not_frozen`: a warning while it is, or while nobody knows."""
    if state.unknown:
        return Check(NOT_FROZEN, False, f"whether the desk is frozen is not known: {state.unknown}", "WARN")
    if state.freeze is None:
        return Check(NOT_FROZEN, True, "no freeze holds; what may act, acts", "WARN")
    return Check(NOT_FROZEN, False, f"the desk is {state.freeze}. To end it, launch {freeze.UNFREEZE}.", "WARN", facts(state.freeze))


def facts(found: Freeze) -> dict[str, Fact]:
    """A freeze as metadata."""
    times = {"since": found.since, "until": found.until}
    through = ", ".join(sorted(found.allow)) or "nothing"
    shown = {name: Timestamp(moment) for name, moment in times.items() if moment}
    return {"frozen by": found.who, "why": found.reason, **shown, "let through": through}
