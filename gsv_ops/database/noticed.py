"""What a tick of the watch noticed since the one before: pure, so that "the first tick replays nothing" can be held by a test.

The cursor remembers the primary, since when, every trouble by its id, and how many changes there were: two ticks that see the same give
the same answer, and a trouble that comes back has another run key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gsv_ops.database import source
from gsv_ops.database.goings_on import OF_SERVER, Trouble
from gsv_ops.database.promotion.record import Promotion
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object


@dataclass(frozen=True)
class Memory:
    """What the last tick knew."""

    cluster: str
    primary: str
    since: datetime
    troubles: Mapping[str, str]
    changes: int = 0

    def to_cursor(self) -> str:
        """As Dagster keeps it."""
        return json.dumps({**vars(self), "since": self.since.isoformat()}, sort_keys=True)

    @classmethod
    def of_cursor(cls, cursor: str | None) -> Memory | None:
        """None on the first tick, and for a cursor that cannot be read."""
        try:
            body = json.loads(cursor or "")
            return cls(**{**body, "since": datetime.fromisoformat(body["since"])})
        except (ValueError, TypeError, KeyError):
            return None


@dataclass(frozen=True)
class Noticed:
    """What to remember, and what changed: begun and ended troubles, and the instance that stopped being primary without the desk."""

    memory: Memory
    begun: tuple[Trouble, ...] = ()
    ended: tuple[str, ...] = ()
    former: str = ""
    first: bool = False

    @property
    def changed(self) -> bool:
        """Whether anything is to be told."""
        return bool(self.begun or self.ended or self.former)

    def told(self) -> list[str]:
        """It, in words."""
        moved = [f"the primary moved from {self.former} to {self.memory.primary}, and not by this desk"] if self.former else []
        return [*moved, *(trouble.reason for trouble in self.begun), *(f"over: {reason}" for reason in self.ended)]

    def run_key(self, what: str) -> str:
        """One for each change, on one cluster."""
        return f"{what}-{self.memory.cluster}-{self.memory.changes}-{self.memory.since:%Y%m%dT%H%M%S}"


def since(
    memory: Memory | None, cluster: Object, troubles: Sequence[Trouble], ours: Promotion | None, now: datetime, *, asked: bool = True
) -> Noticed:
    """What is new. Of a cluster not seen before everything is only remembered.

    asked: whether the primary could be asked. If not, what it told before is not over: it is not known.
    """
    uid, primary = objects.uid(cluster), source.primary(cluster)
    still = {} if asked or memory is None else {key: reason for key, reason in memory.troubles.items() if key.startswith(OF_SERVER)}
    seen = still | {trouble.id: trouble.reason for trouble in troubles}
    if memory is None or memory.cluster != uid:
        return Noticed(Memory(uid, primary, now, seen), first=True)
    begun = tuple(trouble for trouble in troubles if trouble.id not in memory.troubles)
    ended = tuple(reason for key, reason in memory.troubles.items() if key not in seen)
    moved = bool(primary and memory.primary and primary != memory.primary)
    # while it is being moved none is settled: then the one before is still to be compared with
    after = replace(memory, primary=primary or memory.primary, since=now if moved else memory.since, troubles=seen)
    by_us = moved and ours is not None and ours.led_to(cluster)
    noticed = Noticed(after, begun, ended, memory.primary if moved and not by_us else "")
    return replace(noticed, memory=replace(after, changes=memory.changes + 1)) if noticed.changed else noticed
