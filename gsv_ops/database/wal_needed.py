"""Which WAL segments a restore from one position to another reads, and which of them are missing from the store."""

from __future__ import annotations

from gsv_ops.database.barman_store import BarmanStore
from gsv_ops.database.lsn import next_segment, parse_wal_name, position_key


def positions(first: str, last: str, segment_size: int) -> list[str]:
    """The positions (last 16 digits) of every segment from `first` to `last`, both included. Raises ValueError if they are reversed."""
    if position_key(first) > position_key(last):
        raise ValueError(f"WAL segment {first} lies after {last}")
    found, name = [position_key(first)], first
    while position_key(name) < position_key(last):
        name = next_segment(name, segment_size)
        found.append(position_key(name))
    return found


def missing(store: BarmanStore, first: str, last: str, segment_size: int) -> list[str]:
    """The segments from `first` to `last` that are in the store on none of the timelines between the two, under `last`'s timeline.

    After a switchover the segment in which the timeline changed may be archived under either, so a position counts on any of them.
    """
    old, new = parse_wal_name(first).timeline, parse_wal_name(last).timeline
    timelines = range(min(old, new), max(old, new) + 1)
    wanted = positions(first, last, segment_size)
    there = {position_key(name) for name in store.segments({f"{timeline:08X}{at}" for timeline in timelines for at in wanted})}
    return [f"{new:08X}{at}" for at in wanted if at not in there]
