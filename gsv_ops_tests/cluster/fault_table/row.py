"""One row of the fault table, and how a run is judged by it."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import pytest
from gsv_sandbox.runs import Run

log = logging.getLogger(__name__)

FOUR_LINES = ("Changed: ", "Not changed: ", "Run it again: ", "Next: ")
LEFT_SECONDS = 15
"""Until what a run took down is gone: the garbage collector and the volumes' provisioner end after the run."""

Verdict = Literal["proven", "good", "failed", "bad", "inconclusive", "stopped", "refused", "cancelled", "killed", "mended"]
"""A verdict that was reached; or how a run ended without one: `stopped` with the cause, `refused` before anything was changed.

`mended` is of the sandbox's own faults, which no run is in.
"""
COUNTS: tuple[Verdict, ...] = ("proven", "good", "mended")


@dataclass(frozen=True)
class Fault:
    """What is broken, and what must come of it.

    `says`: texts that an operator must read, all of them. `within`: seconds to the verdict. `left`: the kinds of what the run made that may
    be left, all of them. `quick`: `make test` runs it too. `ends_the_sandbox`: it takes down what other rows need, so it is run after them.
    """

    fault: str
    verdict: Verdict
    within: float
    says: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    quick: bool = False
    ends_the_sandbox: bool = False


@dataclass(frozen=True)
class Seen:
    """What came of a fault: the verdict, everything an operator could read, the seconds it took, and the kinds of what was left."""

    verdict: Verdict
    said: str
    seconds: float
    left: frozenset[str] = frozenset()
    materialized: bool = False


def judged(fault: Fault, seen: Seen) -> list[str]:
    """Everything in which what was seen is not what the row expects; empty if it is."""
    wrong = []
    if seen.verdict != fault.verdict:
        wrong.append(f"the verdict is {seen.verdict}, expected {fault.verdict}")
    wrong += [f"it does not say {text!r}" for text in fault.says if text not in seen.said]
    if seen.seconds > fault.within:
        wrong.append(f"it took {seen.seconds:.0f} s, expected at most {fault.within:g} s")
    if set(seen.left) != set(fault.left):
        wrong.append(f"left is {_kinds(seen.left)}, expected {_kinds(fault.left)}")
    if seen.materialized and fault.verdict not in COUNTS:
        wrong.append("the asset was materialised, which says that it is good")
    if fault.verdict in ("failed", "bad", "inconclusive", "stopped", "refused"):
        wrong += [f"it does not end with the line {line!r}" for line in FOUR_LINES if line not in seen.said]
    return wrong


def verdict_of(run: Run) -> Verdict:
    """The verdict a run reached, or how it ended without one."""
    if "gsv/verdict" in run.tags:
        return run.tags["gsv/verdict"]  # type: ignore[return-value]
    if run.status == "CANCELED":
        return "cancelled"
    if run.status == "SUCCESS":
        return "good"
    if not run.failures:
        return "killed"
    return "refused" if "Changed: nothing." in run.failure else "stopped"


def said_by(run: Run) -> str:
    """What an operator reads of the run: why it failed, and what its checks found wrong."""
    return "\n".join((run.failure, *(check["description"] or "" for check in run.checks.values() if not check["success"])))


class Row:
    """One row while its test runs: it measures the time, judges, and remembers what was seen for the table."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen: Seen | None = None
        self._seconds = 0.0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """What lasts within counts as the row's time, several such parts together."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._seconds += time.monotonic() - begun

    def judge(self, run: Run, left: Callable[[], Collection[str]]) -> None:
        """Fail the test unless the run that has ended is as the row expects. `left` gives the kinds of what is left of it, asked anew."""
        deadline = time.monotonic() + LEFT_SECONDS
        while set(found := frozenset(left())) != set(self.fault.left) and time.monotonic() < deadline:
            time.sleep(0.5)
        self.judge_seen(Seen(verdict_of(run), said_by(run), self._seconds, found, bool(run.materialized)))

    def judge_mended(self, left: Collection[str] = ()) -> None:
        """As `judge`, for a fault that no run is in: what was timed ended well."""
        self.judge_seen(Seen("mended", "", self._seconds, frozenset(left)))

    def judge_seen(self, seen: Seen) -> None:
        """As `judge`, for what was seen in another way."""
        self.seen = seen
        log.info("%s, after %.0f s:\n%s", seen.verdict, seen.seconds, seen.said)  # to be read with -rP --log-level=INFO
        if wrong := judged(self.fault, seen):
            pytest.fail(f"{'; '.join(wrong)}\n\nIt said:\n{seen.said}", pytrace=False)


def expects(fault: Fault) -> pytest.MarkDecorator:
    """The decorator that makes a test the test of this row; its `row` is then this one."""
    return pytest.mark.fault(fault)


def _kinds(left: Collection[str]) -> str:
    return ", ".join(sorted(left)) or "nothing"
