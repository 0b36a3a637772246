"""Whether a moment can be restored to, and from which base backup: pure rules over what the archive holds.

PostgreSQL only stops at a time if there is a commit after it, and only at a position if there is a record at or after it: else a recovery
ends in an error, hours later. So the window's upper end is the last commit in the archive, not now and not when its file was stored. Its
lower end is the end of the first base backup. A base backup counts if it lies on the history of the timeline that is restored.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.database import wal_needed
from gsv_ops.database.barman_store import BaseBackup
from gsv_ops.database.goal import Goal, shown
from gsv_ops.database.lsn import DEFAULT_SEGMENT_SIZE, format_lsn, parse_wal_name, position_key, segment_name, segment_start

GRAIN = timedelta(microseconds=1)
MOST_NAMED = 5


@dataclass(frozen=True)
class Segment:
    """One WAL segment in the store: its bytes there (compressed), and when it was stored."""

    name: str
    bytes: int
    at: datetime


@dataclass(frozen=True)
class Commit:
    """A commit: when, by the server's clock, and where its record begins."""

    at: datetime
    lsn: int


@dataclass(frozen=True)
class Window:
    """What the archive of one server holds for one timeline.

    bases: the finished base backups, oldest first. history: the timelines before it, each with the position where it was left; None where
    it cannot be read. wal: the segments from the first base backup's beginning on. last_commit: of the newest segment; None: not known.
    proven_to: a commit after that time is known to be archived, from a fingerprint. unlisted: why the store could not be listed.
    """

    bases: tuple[BaseBackup, ...]
    timeline: int
    history: tuple[tuple[int, int], ...] | None = ()
    wal: tuple[Segment, ...] = ()
    last_commit: Commit | None = None
    proven_to: datetime | None = None
    unlisted: str = ""

    def segments(self, names: Collection[str]) -> set[str]:
        """Those of the named WAL segments that are in the store."""
        return {segment.name for segment in self.wal} & set(names)

    def on_history(self, base: BaseBackup) -> bool:
        """Whether the timeline's WAL goes on from where the base backup ended."""
        return base.timeline == self.timeline or any(
            timeline == base.timeline and base.end_lsn <= left for timeline, left in self.history or ()
        )

    def timeline_at(self, lsn: int) -> int:
        """On which timeline of the history that position was written."""
        return next((timeline for timeline, left in self.history or () if lsn < left), self.timeline)

    @property
    def usable(self) -> list[BaseBackup]:
        """The base backups that a restore on this timeline can begin from, oldest first."""
        return [base for base in self.bases if self.on_history(base)]

    @property
    def chain(self) -> list[Segment]:
        """The segments of this timeline's history, in the log's order; of one position, the newer timeline's last."""
        timelines = {self.timeline, *(timeline for timeline, _ in self.history or ())}
        found = [segment for segment in self.wal if parse_wal_name(segment.name).timeline in timelines]
        return sorted(found, key=lambda segment: (position_key(segment.name), segment.name))

    @property
    def last(self) -> Segment | None:
        """The newest segment."""
        return chain[-1] if (chain := self.chain) else None

    @property
    def segment_size(self) -> int:
        """Bytes of a segment."""
        return next((base.segment_size for base in reversed(self.bases) if base.segment_size), DEFAULT_SEGMENT_SIZE)

    @property
    def end(self) -> int:
        """The position where the archive ends at the latest: the end of its newest segment; 0 where none is known."""
        return segment_start(self.last.name, self.segment_size) + self.segment_size if self.last else 0

    def newest_time(self) -> datetime | None:
        """The latest time that is known to be reachable."""
        return self.last_commit.at - GRAIN if self.last_commit else self.proven_to


@dataclass(frozen=True)
class Judged:
    """What a restore to a goal would be: from which base backup and why, through which WAL; why not; and what cannot be told."""

    base: BaseBackup | None
    why: str = ""
    refused: tuple[str, ...] = ()
    warned: tuple[str, ...] = ()
    first: str = ""
    last: str = ""
    segments: int = 0
    bytes: int = 0


def judge(window: Window, goal: Goal, now: datetime) -> Judged:
    """What the restore would be. With any refusal, nothing may be made."""
    base, why, refused = choose(window, goal)
    too_late, warned = _upper_end(window, goal, now)
    refused = [*refused, *too_late]
    if base is None or refused or window.unlisted:
        return Judged(base, why, tuple(refused), tuple(warned))
    first, last = base.begin_wal, _last_needed(window, goal, base)
    if not first or not last or position_key(last) < position_key(first):
        problem = f"no WAL from {first or 'its beginning'} on is in the store, so base backup {base.backup_id} cannot be made consistent"
        return Judged(base, why, (problem,), tuple(warned))
    missing = wal_needed.missing(window, first, last, window.segment_size)
    if missing:
        named = ", ".join(missing[:MOST_NAMED])
        refused.append(f"{len(missing)} WAL segments between {first} and {last} are not in the store: {named}; a restore would end before")
    span = set(wal_needed.positions(first, last, window.segment_size))
    needed = {position_key(segment.name): segment for segment in window.chain if position_key(segment.name) in span}
    return Judged(base, why, tuple(refused), tuple(warned), first, last, len(span), sum(segment.bytes for segment in needed.values()))


def choose(window: Window, goal: Goal) -> tuple[BaseBackup | None, str, list[str]]:
    """The base backup to begin from, why it, and why none."""
    usable = window.usable
    if goal.backup_id:
        base = next((base for base in window.bases if base.backup_id == goal.backup_id), None)
        if base is None:
            there = ", ".join(b.backup_id for b in window.bases[-MOST_NAMED:]) or "none"
            return None, "", [f"base backup {goal.backup_id} is not in the store, or not finished; the newest there: {there}"]
        if base not in usable:
            return base, "", [f"base backup {base.backup_id} is of timeline {base.timeline}, which {_line(window)} does not go on from"]
        if not _ended_before(base, goal):
            return base, "", [f"base backup {base.backup_id} ended at {_ended(base)}, after {goal}; name an older one, or none"]
        return base, "it was named" if goal.kind != "proof" else "the proof began from it", []
    if not usable:
        others = f"; {len(window.bases)} of other timelines" if window.bases else ""
        return None, "", [f"the store has no finished base backup that {_line(window)} goes on from{others}: take a backup first"]
    if goal.kind in ("transaction", "restore_point"):
        return usable[0], "the oldest, since nothing tells when that was written; name `backup` for a later one, to replay less", []
    before = [base for base in usable if _ended_before(base, goal)]
    if not before:
        first = usable[0]
        told = f"{goal} lies before the end of the first base backup; the nearest that can be reached is {_ended(first)}"
        return None, "", [f"{told} (position {format_lsn(first.end_lsn)})"]
    newest = "it is the newest" if goal.kind == "end_of_wal" else f"it is the newest that ended before, of {len(before)}"
    return before[-1], newest, []


def _ended_before(base: BaseBackup, goal: Goal) -> bool:
    if goal.kind == "time":
        return base.ended is not None and goal.time is not None and base.ended <= goal.time
    if goal.kind in ("lsn", "proof"):
        return base.end_lsn <= goal.lsn
    return True


def _upper_end(window: Window, goal: Goal, now: datetime) -> tuple[list[str], list[str]]:
    """Why the goal lies past the archive's end; and what cannot be told about that."""
    if goal.kind == "time":
        assert goal.time is not None
        return _time_reached(window, goal.time, now)
    if goal.kind in ("lsn", "proof"):
        return _position_reached(window, goal.lsn)
    if goal.kind in ("transaction", "restore_point"):
        return [], [f"whether {goal} is in the archived WAL cannot be told before it is replayed: if not, the restore fails at its end"]
    return [], []


def _time_reached(window: Window, time: datetime, now: datetime) -> tuple[list[str], list[str]]:
    reachable = window.newest_time()
    nearest = f"the nearest that is known to be reachable is {shown(reachable)}" if reachable else "which time is reachable is not known"
    if time > now:
        return [f"{shown(time)} lies in the future; {nearest}. For everything there is, restore to the end of the WAL"], []
    if window.last_commit is not None:
        if time < window.last_commit.at:
            return [], []
        told = (
            f"{shown(time)} is not before the last commit in the archive ({shown(window.last_commit.at)}), and PostgreSQL stops at a time"
        )
        return [f"{told} only at a commit after it; {nearest}. To have that commit too, restore to the end of the WAL"], []
    if window.proven_to is not None and time <= window.proven_to:
        return [], []
    last = window.last
    if last is not None and time > last.at:
        return [f"{shown(time)} is after the newest WAL was archived ({shown(last.at)}); {nearest}"], []
    return [], [
        f"that {shown(time)} can be reached is not proven: the source cannot be asked which commit the archive ends with; {nearest}"
    ]


def _position_reached(window: Window, lsn: int) -> tuple[list[str], list[str]]:
    if not window.end:
        return [], [f"that {format_lsn(lsn)} can be reached is not proven: the WAL in the store is not known"]
    if lsn >= window.end:
        nearest = f"; the last commit in it is at {format_lsn(window.last_commit.lsn)}" if window.last_commit else ""
        return [f"{format_lsn(lsn)} lies past the end of the archived WAL, {format_lsn(window.end)}{nearest}"], []
    start = window.end - window.segment_size
    if lsn >= start and (window.last_commit is None or lsn > window.last_commit.lsn):
        sure = window.last_commit.lsn if window.last_commit else start
        return [], [f"{format_lsn(lsn)} lies in the newest archived segment, which may end before it; up to {format_lsn(sure)} it is sure"]
    return [], []


def _last_needed(window: Window, goal: Goal, base: BaseBackup) -> str:
    if goal.kind in ("lsn", "proof"):
        return segment_name(goal.lsn, window.timeline_at(goal.lsn), window.segment_size)
    chain = [segment for segment in window.chain if position_key(segment.name) >= position_key(base.begin_wal)]
    if goal.kind == "time" and goal.time is not None:
        # what was committed until then had been stored by then, or is in the first segment stored after it
        after = next((segment for segment in chain if segment.at >= goal.time and segment.name >= base.end_wal), None)
        return after.name if after else (chain[-1].name if chain else "")
    return chain[-1].name if chain else ""


def _line(window: Window) -> str:
    unread = ", whose history cannot be read," if window.history is None else ""
    return f"timeline {window.timeline}{unread}"


def _ended(base: BaseBackup) -> str:
    return shown(base.ended) if base.ended else "an unknown time"
