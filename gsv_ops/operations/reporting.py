"""What a report is: it looks, tells what it found on an asset that others produce, and judges that asset's good conditions.

It changes nothing, so it has no plan, and runs while the desk is frozen too. Rooms write reports; `operations/report_jobs.py` turns
them into Dagster's jobs. Nothing here knows Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

from gsv_ops.operations.operation import Check, Desk, Fact, Params
from gsv_ops.operations.records import Records

P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class LastRun:
    """The newest run of a job: how it ended, when, and where its page is (a path of the UI)."""

    job: str
    status: str
    at: datetime
    link: str


@dataclass(frozen=True)
class Before:
    """What was before this look: what the last look at this cluster left for the next (None: there was none), and the newest runs."""

    left: Mapping[str, Any] | None = None
    runs: Sequence[LastRun] = ()


@dataclass(frozen=True)
class Found:
    """What a look gave: one sentence, the facts, one Check for each of the report's, and what it leaves for the next look."""

    summary: str
    facts: Mapping[str, Fact]
    checks: Sequence[Check]
    leaves: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Report(Generic[P]):
    """One report. `checks`: name -> the good condition in words. Whatever `look` raises fails every one of them."""

    name: str
    description: str
    params: type[P]
    look: Callable[[Desk, P, Before], Found]
    checks: Mapping[str, str]
    rerun: str = "yes; it only reads."
    tags: Mapping[str, str] = field(default_factory=dict)


def left(records: Records, report: str, cluster: str) -> Mapping[str, Any] | None:
    """What the last look at that cluster left. Raises DamagedRecord."""
    found = records.read(_record(report))
    return found["left"] if found is not None and found.get("cluster") == cluster else None


def leave(records: Records, report: str, cluster: str, body: Mapping[str, Any]) -> None:
    """Keep it for the next look."""
    records.write(_record(report), {"cluster": cluster, "left": dict(body)})


def _record(report: str) -> str:
    return f"reports/{report}"
