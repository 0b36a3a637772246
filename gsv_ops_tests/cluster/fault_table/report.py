"""docs/faults.md, as text: what was seen of every row, and on what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from gsv_ops_tests.cluster.fault_table.row import Fault

NOT_RUN = "not run"
AS_EXPECTED = "as expected"
HEAD = """# What is told when something breaks

Written by `make test-faults`, which breaks each of these things on a real cluster and puts it back; never by hand. A row is as
expected when its verdict, its text, its time and what is left are. `stopped`: the run ended with the cause and without a verdict.
`refused`: it changed nothing. `mended`: a fault of the sandbox itself. The time is counted from the launch, or from the moment at which
something was broken.
"""


@dataclass(frozen=True)
class Result:
    """What became of a row: `outcome` says as expected, or what was wrong. `session` is when and of which revision it was seen."""

    outcome: str
    seconds: float | None
    left: tuple[str, ...]
    session: str


@dataclass(frozen=True)
class Session:
    """What the rows were seen on."""

    at: str
    revision: str
    cores: int
    versions: Mapping[str, str]

    @property
    def name(self) -> str:
        """How a row says which session saw it."""
        return f"{self.at}, {self.revision}"


def markdown(faults: Mapping[str, Sequence[Fault]], results: Mapping[str, Result], session: Session) -> str:
    """The whole file. `faults` are the rows by their part of the table, `results` what is known, by the row's fault.

    A row of another session says so; one of which nothing is known is shown as not run.
    """
    every = [fault for rows in faults.values() for fault in rows]
    now = [result for fault in every if (result := results.get(fault.fault)) and result.session == session.name]
    good = sum(result.outcome == AS_EXPECTED for result in now)
    versions = ", ".join(f"{name} {version}" for name, version in session.versions.items())
    lines = [
        HEAD,
        f"{session.at}, revision {session.revision}, {session.cores} cores; {versions}.",
        f"{len(every)} rows: {len(now)} run then, {good} of them as expected, {len(every) - len(now)} not run then.",
    ]
    for part, rows in faults.items():
        lines += [
            "",
            f"## {part}",
            "",
            "| Fault | Verdict | It says | Within, s | Took, s | May be left | Result |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_line(fault, results.get(fault.fault), session) for fault in rows]
    return "\n".join(lines) + "\n"


def to_json(result: Result) -> dict[str, object]:
    """A result as it is kept between sessions."""
    return asdict(result)


def from_json(body: Mapping[str, object]) -> Result:
    """The result that was kept."""
    return Result(**{**body, "left": tuple(body["left"])})  # type: ignore[arg-type]


def _line(fault: Fault, result: Result | None, session: Session) -> str:
    took = f"{result.seconds:.0f}" if result and result.seconds is not None else ""
    outcome = result.outcome if result else NOT_RUN
    if result and result.session != session.name:
        outcome = f"{NOT_RUN}; {outcome} at {result.session}"
    says = " … ".join(f"`{_cell(text)}`" for text in fault.says)
    left = ", ".join(fault.left) or "nothing"
    if result and result.outcome != AS_EXPECTED and result.left != fault.left and result.left:
        left += f" (was: {', '.join(result.left)})"
    return f"| {_cell(fault.fault)} | {fault.verdict} | {says} | {fault.within:g} | {took} | {left} | {_cell(outcome)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
