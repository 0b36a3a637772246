"""Which WAL segments a restore from one position to another reads, and which of them are missing from the store."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from gsv_ops.database.lsn import next_segment, parse_wal_name, position_key


class Holds(Protocol):
    """Whatever knows which of some WAL segments are there: the store, or a listing of it."""

    def segments(self, names: Collection[str]) -> set[str]:
        """Those of the named segments that are there."""
        ...


def positions(first: str, last: str, segment_size: int) -> list[str]:
    """The positions (last 16 digits) of every segment from `first` to `last`, both included. Raises ValueError if they are reversed."""
    if position_key(first) > position_key(last):
        raise ValueError(f"WAL segment {first} lies after {last}")
    found, name = [position_key(first)], first
    while position_key(name) < position_key(last):
        name = next_segment(name, segment_size)
        found.append(position_key(name))
    return found


def missing(store: Holds, first: str, last: str, segment_size: int) -> list[str]:
    """The segments from `first` to `last` that a restore lacks, each under the timeline it is expected on.

    A new timeline begins with a segment of its own, so from where one is first seen, older timelines' segments no longer count: after a
    failover they hold what was written aside of it. The last segment counts only on its own timeline.
    """
    old, new = parse_wal_name(first).timeline, parse_wal_name(last).timeline
    if old > new:
        raise ValueError(f"WAL segment {first} is of a later timeline than {last}")
    wanted = positions(first, last, segment_size)
    there = store.segments({f"{timeline:08X}{at}" for timeline in range(old, new + 1) for at in wanted})
    lacking, timeline = [], old
    for at in wanted:
        least = new if at == wanted[-1] else timeline
        found = [t for t in range(least, new + 1) if f"{t:08X}{at}" in there]
        if found:
            timeline = found[-1]
        else:
            lacking.append(f"{least:08X}{at}")
    return lacking
