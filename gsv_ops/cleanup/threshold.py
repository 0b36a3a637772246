"""Whether a cleanup is to start because too much may go: pure, for the sensors to act on, with what each remembers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.cleanup.counting import Count
from gsv_ops.cleanup.finished_jobs import PRUNE_JOBS
from gsv_ops.cleanup.leftover_pods import PRUNE_PODS
from gsv_ops.cleanup.replica_sets import PRUNE_REPLICASETS
from gsv_ops.platform.spec import CleanupTimetable


@dataclass(frozen=True)
class Memory:
    """What a sensor counted last (-1: nothing yet), and when it started its cleanup: ISO 8601, empty for never."""

    counted: int = -1
    started: str = ""

    @classmethod
    def read(cls, cursor: str | None) -> Memory:
        """What `cursor` says."""
        return cls(**json.loads(cursor)) if cursor else cls()

    def write(self) -> str:
        """The cursor."""
        return json.dumps(vars(self), sort_keys=True)


def threshold(operation: str, timetable: CleanupTimetable) -> int:
    """Of that cleanup; 0: there is none."""
    return {
        PRUNE_REPLICASETS.name: timetable.replicasets_threshold,
        PRUNE_JOBS.name: timetable.jobs_threshold,
        PRUNE_PODS.name: timetable.pods_threshold,
    }[operation]


def due(found: Count, limit: int, memory: Memory, going_on: bool, again: timedelta, now: datetime) -> tuple[bool, Memory, str]:
    """Whether to start the cleanup now, what is to be remembered, and the count with what follows from it, in words.

    `going_on`: a run of it has not ended. `again`: so long after a start there is no other.
    """
    last = datetime.fromisoformat(memory.started) if memory.started else None
    said = f"at most {found.may_go} of {found.seen} may go"
    remembered = Memory(found.may_go, memory.started)
    if not limit:
        return False, remembered, f"{said}; there is no threshold"
    if found.may_go <= limit:
        return False, remembered, f"{said}; the threshold is {limit}"
    if going_on:
        return False, remembered, f"{said}, above the threshold of {limit}; a run is going on"
    if last is not None and now - last < again:
        minutes = (now - last).total_seconds() / 60
        return False, remembered, f"{said}, above the threshold of {limit}; started {minutes:.0f} min ago, and again {again} after that"
    return True, Memory(found.may_go, now.isoformat()), f"{said}, above the threshold of {limit}; started"
