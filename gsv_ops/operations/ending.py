"""The four lines with which every failed run ends: what changed, what did not, whether to run it again, and what to run next."""

from __future__ import annotations

from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed
from gsv_ops.operations.plan import Plan

MOST_NAMED = 5


def four_lines(plan: Plan | None, journal: Journal | None, problem: BaseException, rerun: str) -> str:
    """The four lines for a run that failed with `problem`; `rerun` is the operation's own word on running it again."""
    done = [f"{o.verb} {o.target}" for o in journal.outcomes if o.result == "done"] if journal else []
    settled = {(o.verb, o.target) for o in journal.outcomes if o.result != "failed"} if journal else set()
    run_id = journal.root_run_id if journal else ""
    left = [f"{a.verb} {a.target.for_run(run_id)}" for a in plan.actions] if plan else []
    left = [line for line in left if tuple(line.split(" ", 1)) not in settled]
    next_command = getattr(problem, "next_command", "") if isinstance(problem, OperationFailed) else ""
    return "\n".join(
        (
            f"Changed: {_named(done) or 'nothing'}.",
            f"Not changed: {_named(left) or ('everything else' if done else 'everything')}.",
            f"Run it again: {rerun}",
            f"Next: {next_command or 'read the cause above, mend it, and launch the same run again.'}",
        )
    )


def _named(lines: list[str]) -> str:
    if len(lines) <= MOST_NAMED:
        return ", ".join(lines)
    return ", ".join(lines[:MOST_NAMED]) + f" and {len(lines) - MOST_NAMED} more"
