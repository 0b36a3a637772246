"""The four lines with which every failed run ends: what changed, what did not, whether to run it again, and what to run next."""

from __future__ import annotations

from collections.abc import Iterable

from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed
from gsv_ops.operations.plan import Plan

MOST_NAMED = 5


def four_lines(plan: Plan | None, journal: Journal | None, problem: BaseException, rerun: str) -> str:
    """The four lines for a run that failed with `problem`; `rerun` is the operation's own word on running it again."""
    changed = _changed(journal) if journal else []
    settled = {(o.verb, o.target) for o in journal.outcomes if o.result != "failed"} if journal else set()
    run_id = journal.root_run_id if journal else ""
    planned = [(a.verb, str(a.target.for_run(run_id))) for a in plan.actions] if plan else []
    left = [f"{verb} {target}" for verb, target in planned if (verb, target) not in settled]
    next_command = getattr(problem, "next_command", "") if isinstance(problem, OperationFailed) else ""
    return "\n".join(
        (
            f"Changed: {'; '.join(changed) or 'nothing'}.",
            f"Not changed: {_named(left) or ('everything else' if changed else 'everything')}.",
            f"Run it again: {rerun}",
            f"Next: {next_command or 'read the cause above, mend it, and launch the same run again.'}",
        )
    )


def _changed(journal: Journal) -> list[str]:
    """What this run did, what it made and took down again, and what nobody can tell, as far as there is any."""
    gone = {str(target) for target in journal.targets()} if journal.released and not journal.kept else set()
    done = [o for o in journal.outcomes if o.result == "done"]
    settled = {(o.verb, o.target) for o in journal.outcomes if o.result in ("done", "already")}
    unknown = [o for o in journal.outcomes if o.result == "unknown" and (o.verb, o.target) not in settled and o.target not in gone]
    parts = (
        _named(f"{o.verb} {o.target}" for o in done if o.verb != "create" or o.target not in gone),
        _named((o.target for o in done if o.verb == "create" and o.target in gone), "made and taken down again: "),
        _named((f"{o.verb} {o.target}" for o in unknown), "perhaps, no answer came: "),
    )
    return [part for part in parts if part]


def _named(lines: Iterable[str], before: str = "") -> str:
    once = list(dict.fromkeys(lines))
    if not once:
        return ""
    rest = f" and {len(once) - MOST_NAMED} more" if len(once) > MOST_NAMED else ""
    return before + ", ".join(once[:MOST_NAMED]) + rest
