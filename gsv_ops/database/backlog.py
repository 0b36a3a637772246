"""Which backups nobody has seen yet, and which one nobody has proven: pure, for the sensors to act on."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.database.backup.execute import COMPLETED
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import apply
from gsv_ops.platform.spec import Timetable

RETRY = timedelta(minutes=15)
SCHEDULED_BY = "cnpg.io/scheduled-backup"


@dataclass(frozen=True)
class Attempt:
    """One earlier run that tried to prove a backup: whether it has ended, its verdict (empty: none was reached), and when it began."""

    ended: bool
    verdict: str
    begun: datetime


@dataclass(frozen=True)
class Due:
    """The backup to prove now and which attempt this is; or, with no backup, the reason why there is none."""

    backup: Object | None
    attempt: int
    reason: str


def completed(backups: Sequence[Object]) -> list[Object]:
    """The completed backups that say when they ended, oldest first."""
    done = [b for b in backups if at(b, "status", "phase") == COMPLETED and at(b, "status", "stoppedAt") and at(b, "status", "backupId")]
    return sorted(done, key=lambda b: parse_time(b["status"]["stoppedAt"]))


def by_others(backups: Sequence[Object]) -> list[Object]:
    """Those that no run of ours made: by a ScheduledBackup, or by hand."""
    return [b for b in backups if apply.ROOT_RUN_LABEL not in objects.labels(b)]


def not_seen(backups: Sequence[Object], cursor: str | None) -> tuple[list[Object], str]:
    """The backups whose completion was not told before, and the cursor that remembers them.

    The first time only the newest is told, so that a new desk does not replay history. The cursor holds the uids that still exist.
    """
    known: Collection[str] = set(json.loads(cursor)) if cursor else set()
    fresh = [b for b in backups if objects.uid(b) not in known]
    told = fresh if cursor else fresh[-1:]
    return told, json.dumps(sorted(objects.uid(b) for b in backups))


def made_by(backup: Object) -> str:
    """Who asked for the backup, in words."""
    parent = objects.labels(backup).get(SCHEDULED_BY)
    return f"ScheduledBackup {parent}" if parent else "hand"


def due(
    backups: Sequence[Object], proven: Collection[str], attempts: Mapping[str, Sequence[Attempt]], timetable: Timetable, now: datetime
) -> Due:
    """The newest backup that is older than its limit, if nobody has proven it or a newer one, and it may be tried (again)."""
    if not backups:
        return Due(None, 0, "there is no completed backup")
    waiting = timedelta(seconds=timetable.prove_after_seconds)
    old_enough = [b for b in backups if now - parse_time(b["status"]["stoppedAt"]) >= waiting]
    if not old_enough:
        age = now - parse_time(backups[-1]["status"]["stoppedAt"])
        minutes, limit = age.total_seconds() / 60, waiting.total_seconds() / 60
        return Due(None, 0, f"{objects.name(backups[-1])} is {minutes:.0f} min old; it is proven when it is {limit:.0f} min old")
    # with backups more often than that the newest would never be old enough: the newest that is stands for them
    candidate = old_enough[-1]
    name, uid = objects.name(candidate), objects.uid(candidate)
    for newer in backups[backups.index(candidate) :]:
        if objects.uid(newer) in proven:
            return Due(None, 0, f"{objects.name(newer)} is proven")
    age = now - parse_time(candidate["status"]["stoppedAt"])
    tried = attempts.get(uid, ())
    if any(not attempt.ended for attempt in tried):
        return Due(None, 0, f"a proof of {name} is going on")
    if any(attempt.verdict == "failed" for attempt in tried):
        return Due(None, 0, f"the proof of {name} failed: trying again would not make it a backup")
    if len(tried) >= timetable.prove_attempts:
        return Due(None, 0, f"{name} was tried {len(tried)} times without a verdict; look at the runs, then prove it by hand")
    last = max((attempt.begun for attempt in tried), default=None)
    if last is not None and now - last < RETRY:
        return Due(None, 0, f"the last proof of {name} was inconclusive; it is tried again {RETRY.total_seconds() / 60:.0f} min after it")
    return Due(candidate, len(tried) + 1, f"{name} is unproven for {age.total_seconds() / 60:.0f} min")
