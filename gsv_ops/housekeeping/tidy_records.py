"""tidy_records: removes what the desk wrote down and nobody needs any more, by the days that platform.yaml gives each kind of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from gsv_ops.operations import journal as journals
from gsv_ops.operations import keeping, stored_plans
from gsv_ops.operations.explained import EVIDENCE
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal, Outcome
from gsv_ops.operations.operation import Desk, Fact, Operation, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Kept, Plan, Target
from gsv_ops.operations.records import NEVER, DamagedRecord, File
from gsv_ops.operations.store import STEPS
from gsv_ops.platform.spec import PlatformSpec, RecordLimits

BUNDLE = "undo"
HALF = timedelta(days=1)
"""What a killed process wrote half is of no use to anybody; a whole day, since a clock may be off."""
MODIFIED = "modified"
BATCH = 100


class TidyRecords(Params):
    """There is nothing to choose: the days stand in platform.yaml, `desk.records` and `desk.undo_days`."""


@dataclass(frozen=True)
class Found:
    """One file: of which kind, when it was last written, how large, and why it must stay however old it is (empty: nothing says so)."""

    kind: str
    file: File
    needed: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Every record and undo bundle, and what keeps the kinds that could not be judged."""

    found: tuple[Found, ...]


def observe(desk: Desk, params: TidyRecords) -> Snapshot:
    """All records with their age. What could still be needed is read: journals that are old enough to go, and whose evidence is kept."""
    limits = desk.spec.desk.records
    kept = keeping.kept(desk.records)
    found = []
    for kind in (EVIDENCE, journals.FOLDER, STEPS, stored_plans.FOLDER):
        for file in desk.records.files(kind):
            old = desk.now() - file.modified > _lifetime(kind, limits)
            found.append(Found(kind, file, _needed(desk, kind, file, kept) if old else ""))
    found += [Found(BUNDLE, file) for file in (desk.bundles.files() if desk.bundles else ())]
    return Snapshot(tuple(found))


def plan(spec: PlatformSpec, snapshot: Snapshot, params: TidyRecords, frame: PlanFrame, now: datetime) -> Plan:
    """A deletion for each file that is past its time, the oldest first; what is needed is kept, with the reason."""
    limits = spec.desk.records
    actions, kept = list[Action](), list[Kept]()
    for one in sorted(snapshot.found, key=lambda found: found.file.modified):
        lifetime = timedelta(days=spec.desk.undo_days) if one.kind == BUNDLE else _lifetime(one.kind, limits)
        lifetime = min(lifetime, HALF) if one.file.half else lifetime
        target = Target("gsv-ops", one.kind, one.file.name)
        if one.file.modified == NEVER:
            kept.append(Kept(target, "when it was written is not known"))
        elif now - one.file.modified <= lifetime:
            continue
        elif one.needed:
            kept.append(Kept(target, one.needed))
        elif len(actions) < limits.most:
            reason = f"written {one.file.modified:%Y-%m-%d}, more than {lifetime.days} days ago"
            actions.append(Action("delete", target, reason, {MODIFIED: one.file.modified.isoformat()}))
        else:
            kept.append(Kept(target, f"no more than desk.records.most ({limits.most}) at once; the next run goes on"))
    return frame.plan(actions=tuple(actions), kept=tuple(kept), seen=len(snapshot.found))


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Remove each file that is still as it was planned; one that was written since is left alone."""
    kept, size = keeping.kept(desk.records), 0
    for start in range(0, len(plan.actions), BATCH):
        if start:
            require_not_frozen(desk, plan.operation)
        outcomes = []
        try:
            for action in plan.actions[start : start + BATCH]:
                outcome, freed = _remove(desk, action, kept)
                outcomes.append(outcome)
                size += freed
        finally:
            journal.outcomes_of(outcomes)
    return {"bytes": size}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when what was planned is gone, or was written anew."""
    left = [str(a.target) for a in plan.actions if (file := _file(desk, a.target)) and file.modified.isoformat() == a.guard[MODIFIED]]
    if left:
        return Verdict("bad", f"still there: {', '.join(left[:5])}{' and more' if len(left) > 5 else ''}; look at the folder's rights")
    counted = {kind: sum(a.target.kind == kind for a in plan.actions) for kind in (EVIDENCE, journals.FOLDER, STEPS, BUNDLE)}
    facts: dict[str, Fact] = {f"removed of {kind}": count for kind, count in counted.items()}
    facts |= {"removed": len(plan.actions), "bytes freed": int(results["bytes"]), "seen": plan.seen}
    return Verdict("good", f"{len(plan.actions)} of {plan.seen} records were past their time and are gone", facts, word="tidied")


def _lifetime(kind: str, limits: RecordLimits) -> timedelta:
    days = {
        EVIDENCE: limits.evidence_days,
        journals.FOLDER: limits.journal_days,
        STEPS: limits.step_days,
        stored_plans.FOLDER: limits.plan_days,
    }
    return timedelta(days=days[kind])


def _needed(desk: Desk, kind: str, file: File, kept: Mapping[str, str]) -> str:
    """Why it must stay however old it is."""
    if file.half:
        return ""
    if kind == EVIDENCE:
        return next((why for run, why in kept.items() if file.stem.startswith(run)), "")
    if kind != journals.FOLDER:
        return ""
    try:
        body = desk.records.read(file.record) or {}
    except DamagedRecord as problem:
        return f"whether its run left anything is not known: {problem}"
    return "what its run made is not taken down" if body.get("entries") and not body.get("released") else ""


def _file(desk: Desk, target: Target) -> File | None:
    if target.kind == BUNDLE:
        return desk.bundles.file(target.name) if desk.bundles else None
    return desk.records.file(target.name)


def _remove(desk: Desk, action: Action, kept: Mapping[str, str]) -> tuple[Outcome, int]:
    target = action.target
    file = _file(desk, target)
    if file is None:
        return Outcome("delete", str(target), "already", "it is gone"), 0
    if file.modified.isoformat() != action.guard[MODIFIED]:
        return Outcome("delete", str(target), "failed", "it was written since"), 0
    if needed := _needed(desk, target.kind, file, kept):
        return Outcome("delete", str(target), "failed", needed), 0
    try:
        file.path.unlink(missing_ok=True)
    except OSError as problem:
        return Outcome("delete", str(target), "failed", f"it cannot be removed ({problem.strerror})"), 0
    return Outcome("delete", str(target), "done"), file.bytes


TIDY_RECORDS = Operation(
    name="tidy_records",
    description="""
Removes what the desk wrote down and nobody needs any more: evidence, journals, outputs of steps, plans and undo bundles past their days.

**When to run:** every night by schedule; by hand when the disk is full, after shortening the days in platform.yaml (`desk.records`).
**What it changes:** deletes files of the desk, nothing in the cluster. Never the evidence of the newest proof, never a journal whose run
left something, never an undo bundle younger than `desk.undo_days`.
**How to undo:** not at all; what must be kept for longer is copied elsewhere before.
""",
    params=TidyRecords,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; what is gone stays gone.",
    pool="tidy_records",
)
