"""Which WAL a restore reads, across a change of timeline too, and which of it is not there."""

from collections.abc import Collection
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.database import wal_needed
from gsv_ops.database.barman_store import BarmanStore

SIZE = 16 * 2**20


def name(timeline: int, number: int) -> str:
    return f"{timeline:08X}{number // 256:08X}{number % 256:08X}"


class Shelf:
    def __init__(self, *there: tuple[int, int]) -> None:
        self.there = {name(*each) for each in there}

    def segments(self, names: Collection[str]) -> set[str]:
        return self.there & set(names)


def missing(first: tuple[int, int], last: tuple[int, int], *there: tuple[int, int]) -> list[str]:
    return wal_needed.missing(cast(BarmanStore, Shelf(*there)), name(*first), name(*last), SIZE)


@pytest.mark.parametrize(
    ("first", "last", "there", "expected"),
    [
        ((1, 3), (1, 5), [(1, 3), (1, 4), (1, 5)], []),
        ((1, 3), (1, 3), [(1, 3)], []),
        ((1, 3), (1, 3), [], [(1, 3)]),
        ((1, 3), (1, 5), [(1, 3), (1, 5)], [(1, 4)]),
        ((1, 3), (1, 5), [(2, 3), (2, 4), (2, 5)], [(1, 3), (1, 4), (1, 5)]),
        ((1, 254), (1, 257), [(1, 254), (1, 255), (1, 256), (1, 257)], []),
        # the timeline changed in segment 5
        ((1, 3), (2, 6), [(1, 3), (1, 4), (1, 5), (2, 5), (2, 6)], []),
        ((1, 3), (2, 6), [(1, 3), (1, 4), (2, 5), (2, 6)], []),
        # it changed at a border: the new one begins with 6
        ((1, 3), (2, 6), [(1, 3), (1, 4), (1, 5), (2, 6)], []),
        ((1, 3), (2, 6), [(1, 3), (1, 4), (2, 6)], [(1, 5)]),
        # what the old primary wrote aside is no substitute
        ((1, 3), (2, 6), [(1, 3), (1, 4), (1, 5), (1, 6)], [(2, 6)]),
        ((1, 3), (2, 7), [(1, 3), (1, 4), (1, 5), (1, 6), (2, 5), (2, 7)], [(2, 6)]),
        # two changes, one without a segment that both ends are asked about
        ((1, 3), (3, 6), [(1, 3), (2, 4), (2, 5), (3, 5), (3, 6)], []),
        ((1, 3), (3, 6), [(1, 3), (2, 4), (1, 5), (3, 6)], [(2, 5)]),
    ],
)
def test_what_is_missing(
    first: tuple[int, int], last: tuple[int, int], there: list[tuple[int, int]], expected: list[tuple[int, int]]
) -> None:
    assert missing(first, last, *there) == [name(*each) for each in expected]


@pytest.mark.parametrize(("first", "last"), [((1, 5), (1, 4)), ((2, 4), (1, 5))])
def test_a_stretch_that_runs_backwards_is_refused(first: tuple[int, int], last: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"lies after|of a later timeline"):
        missing(first, last)


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 40), st.integers(0, 6), st.integers(1, 3), st.integers(0, 2), st.data())
def test_nothing_is_missing_only_where_every_position_is_there(start: int, length: int, old: int, later: int, data: st.DataObject) -> None:
    first, last = (old, start), (old + later, start + length)
    every = [(timeline, number) for timeline in range(old, old + later + 1) for number in range(start, start + length + 1)]
    there = data.draw(st.sets(st.sampled_from(every)))
    lacking = missing(first, last, *there)
    if not lacking:
        assert last in there
        assert {number for _, number in there} == set(range(start, start + length + 1))
    if there == set(every):
        assert lacking == []


def test_positions_are_counted_by_the_segment_size() -> None:
    assert wal_needed.positions(name(1, 254), "000000010000000100000000", SIZE) == [
        "00000000000000FE",
        "00000000000000FF",
        "0000000100000000",
    ]
    assert wal_needed.positions("000000010000000000000003", "000000010000000100000000", 2**30) == ["0000000000000003", "0000000100000000"]
