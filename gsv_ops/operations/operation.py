"""What an operation is: a name, its parameters, and how to observe, plan, execute, verify and release.

Rooms write operations; `operations/jobs.py` turns them into Dagster's jobs and assets. Nothing here knows Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.looking import at_targets
from gsv_ops.operations.plan import Plan
from gsv_ops.operations.records import Records
from gsv_ops.platform.spec import PlatformSpec

if TYPE_CHECKING:
    from gsv_ops.operations.undo import Bundles

Severity = Literal["WARN", "ERROR"]
Mode = Literal["plan", "apply"]


class OperationFailed(Exception):
    """The operation could not do what was asked. `next_command` is what the operator should run to look closer."""

    def __init__(self, reason: str, next_command: str = "") -> None:
        super().__init__(reason)
        self.next_command = next_command


class Inconclusive(OperationFailed):
    """Nothing was found to be wrong, and nothing was proven either."""


class Params(BaseModel):
    """What an operator may choose. Every field has a safe default and a description: both stand in the launchpad."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Desk:
    """Everything an operation may touch, for one run.

    `run_id` is the root run's: the same for a run and its re-executions. `is_over` tells whether another run has ended.
    `bundles` are the undo bundles; with `keeps_undo` nothing is deleted that was not written to one first.
    """

    kube: Kube
    spec: PlatformSpec
    environment: str
    cluster_identity: str
    records: Records
    run_id: str
    log: Callable[[str], None]
    is_over: Callable[[str], bool] = lambda _: False
    bundles: Bundles | None = None
    keeps_undo: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True)
class Markdown:
    """Text that is shown as Markdown."""

    text: str


@dataclass(frozen=True)
class Table:
    """Rows that are shown as a table; every row has the same keys, in the order they are shown."""

    rows: Sequence[Mapping[str, str | int | float]]


@dataclass(frozen=True)
class Timestamp:
    """A moment that is shown in the reader's own time zone. Never naive."""

    at: datetime


@dataclass(frozen=True)
class Link:
    """An address that is shown as a link; one that begins with a slash is the desk's own."""

    url: str


Fact = str | int | float | bool | Markdown | Table | Timestamp | Link
"""What a report can show. Numbers are given as numbers, so that they are plotted."""


@dataclass(frozen=True)
class Check:
    """One good condition and whether it holds. The description says what was found, the metadata shows the evidence."""

    name: str
    passed: bool
    description: str
    severity: Severity = "ERROR"
    metadata: Mapping[str, Fact] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """Whether it is really so. Only `good` counts; `reason` is one sentence that an operator can act on.

    `word` is what the operation itself calls it, where it has a better one (proven, failed).
    """

    status: Literal["good", "bad", "inconclusive"]
    reason: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    checks: Sequence[Check] = ()
    word: str = ""


P = TypeVar("P", bound=Params)
S = TypeVar("S")


def nothing_to_release(desk: Desk, journal: Journal) -> None:
    """The release of an operation whose work stays."""
    journal.keep()


@dataclass(frozen=True)
class Operation(Generic[P, S]):
    """One operation.

    observe(desk, params) reads the cluster into one frozen value; plan(spec, snapshot, params, desk's identity, now) is pure;
    execute(desk, plan, journal) changes the cluster, appends to the journal, and returns plain JSON results;
    verify(desk, plan, results) asks the cluster whether it is so; release(desk, journal) takes down what execute made.
    `default_mode` stands in the launchpad of an operation without an asset: `apply` only where that is the safe side.
    `plan_required`: it is applied only by a plan that was read, but where `plan_waived` says that the environment does without.
    `look`: the kubectl lines that show, without the desk, what a run did, from its plan, its root run and its results; they only read.
    `keeps_undo`: what it deletes somebody may want back, so it is written to an undo bundle first.
    """

    name: str
    description: str
    params: type[P]
    observe: Callable[[Desk, P], S]
    plan: Callable[[PlatformSpec, S, P, PlanFrame, datetime], Plan]
    execute: Callable[[Desk, Plan, Journal], Mapping[str, Any]]
    verify: Callable[[Desk, Plan, Mapping[str, Any]], Verdict]
    rerun: str
    release: Callable[[Desk, Journal], None] = nothing_to_release
    look: Callable[[Plan, str, Mapping[str, Any]], Sequence[str]] = at_targets
    pool: str | None = None
    plan_required: bool = False
    plan_waived: Callable[[PlatformSpec], bool] = lambda _: False
    keeps_undo: bool = False
    default_mode: Mode = "plan"
    tags: Mapping[str, str] = field(default_factory=dict)


class Configured(Protocol):
    """What has parameters: an operation, or a report."""

    @property
    def params(self) -> type[Params]: ...


class Rerunnable(Protocol):
    """What has a name, and a word on running it again."""

    @property
    def name(self) -> str: ...
    @property
    def rerun(self) -> str: ...


@dataclass(frozen=True)
class PlanFrame:
    """What every plan carries: the operation's name, the environment, the cluster, and the parameters as plain JSON."""

    operation: str
    environment: str
    cluster_identity: str
    params: Mapping[str, Any]

    def plan(self, **parts: Any) -> Plan:
        """A plan in this frame."""
        return Plan(self.operation, self.environment, self.cluster_identity, self.params, **parts)
