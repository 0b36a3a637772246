"""The verdict over two fingerprints."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database.compare import Difference, compare
from gsv_ops.database.digest import LargeObjects, TableDigest
from gsv_ops.database.record import Fingerprint, Omission
from gsv_ops.database.sequences import SequenceState

NOTHING = TableDigest(0, 0, 0)
SOURCE = Fingerprint(
    lsn=1000,
    timeline=1,
    system_identifier="7000",
    server_version=150018,
    database="app",
    taken_at=datetime(2026, 1, 1, tzinfo=UTC),
    seconds=1.0,
    tables={"public.a": TableDigest(3, 30, 31, 8192), "public.b": TableDigest(5, 50, 51, 8192)},
    sequences={"public.s": SequenceState(100, True, 1, 90)},
    large_objects=LargeObjects(TableDigest(1, 10, 11), TableDigest(2, 20, 21)),
    schema={"columns": "aa", "views": "bb"},
    not_compared=(Omission("public.u", "unlogged: empty after a recovery"),),
    unread=(),
)
RESTORED = replace(SOURCE, lsn=None, timeline=2, seconds=2.0)


def test_what_is_equal_is_said_to_be_with_what_was_counted() -> None:
    found = compare(SOURCE, RESTORED)
    assert (found.verdict, found.differences, found.reasons) == ("equal", (), ())
    assert (found.tables_equal, found.rows_equal) == (2, 8)
    assert found.not_compared == SOURCE.not_compared


def test_size_on_disk_is_not_compared() -> None:
    tables = {name: replace(table, bytes=1) for name, table in SOURCE.tables.items()}
    assert compare(SOURCE, replace(RESTORED, tables=tables)).verdict == "equal"


def tables(**changes: TableDigest | None) -> dict[str, Any]:
    merged = {**SOURCE.tables, **{f"public.{name}": table for name, table in changes.items()}}
    return {"tables": {name: table for name, table in merged.items() if table is not None}}


@pytest.mark.parametrize(
    ("change", "difference"),
    [
        (tables(a=TableDigest(2, 30, 31)), Difference("public.a", 3, 2, "has another number of rows")),
        (tables(a=TableDigest(3, 31, 31)), Difference("public.a", 3, 3, "has as many rows with other content")),
        (tables(a=TableDigest(3, 30, 30)), Difference("public.a", 3, 3, "has as many rows with other content")),
        (tables(a=None), Difference("public.a", 3, None, "is missing from the restored database")),
        (tables(c=TableDigest(1, 1, 1)), Difference("public.c", None, 1, "is in the restored database only")),
        (tables(c=NOTHING), Difference("public.c", None, 0, "is in the restored database only")),
        ({"system_identifier": "8000"}, Difference("system identifier", None, None, "is 8000, the source's is 7000")),
        ({"database": "other"}, Difference("database", None, None, "is other, the source's is app")),
        ({"schema": {"columns": "aa", "views": "cc"}}, Difference("schema: views", None, None, "is not as in the source")),
        ({"schema": {"columns": "aa"}}, Difference("schema: views", None, None, "is not as in the source")),
        ({"large_objects": LargeObjects(NOTHING, TableDigest(2, 20, 21))}, Difference("large objects", 1, 0, "has another number of rows")),
        (
            {"large_objects": LargeObjects(TableDigest(1, 10, 11), TableDigest(2, 20, 22))},
            Difference("the content of large objects", 2, 2, "has as many rows with other content"),
        ),
        ({"sequences": {}}, Difference("public.s", None, None, "is missing from the restored database")),
    ],
)
def test_a_difference_is_named_with_both_counts(change: dict[str, Any], difference: Difference) -> None:
    found = compare(SOURCE, replace(RESTORED, **change))
    assert found.verdict == "different"
    assert found.differences == (difference,)


def test_a_difference_reads_as_a_sentence() -> None:
    found = compare(SOURCE, replace(RESTORED, **tables(a=TableDigest(2, 30, 31), b=None)))
    assert [str(it) for it in found.differences] == [
        "public.a: has another number of rows (rows: source 3, restored 2)",
        "public.b: is missing from the restored database (rows: source 5, restored none)",
    ]


@pytest.mark.parametrize(
    ("source", "restored", "reason"),
    [
        ({"tables": {}}, {"tables": {}}, "no table was compared"),
        ({"tables": {"public.a": NOTHING}}, {"tables": {"public.a": NOTHING}}, "no row was compared: every table is empty"),
        ({"unread": (Omission("public.c", "RLS"),)}, {}, "unread in the source: public.c: RLS"),
        ({}, {"unread": (Omission("public.c", "RLS"),)}, "unread in the restored database: public.c: RLS"),
        ({}, tables(a=None) | {"unread": (Omission("public.a", "locked"),)}, "unread in the restored database: public.a: locked"),
        ({}, {"server_version": 160001}, "digests of PostgreSQL 15 and 16 cannot be compared"),
        ({}, {"large_objects": LargeObjects(TableDigest(1, 10, 11), None)}, "the content of large objects was read on one side only"),
        ({"schema": {}}, {"schema": {}}, "no part of the schema was read"),
    ],
)
def test_what_was_not_seen_is_never_equal(source: dict[str, Any], restored: dict[str, Any], reason: str) -> None:
    found = compare(replace(SOURCE, **source), replace(RESTORED, **restored))
    assert (found.verdict, found.differences, found.reasons) == ("inconclusive", (), (reason,))


def test_across_major_versions_counts_still_tell() -> None:
    other = replace(RESTORED, server_version=160001, **tables(a=TableDigest(3, 99, 99), b=TableDigest(4, 50, 51)))
    found = compare(SOURCE, other)
    assert found.verdict == "different"
    assert [it.table for it in found.differences] == ["public.b"]


def test_a_minor_version_does_not_matter() -> None:
    assert compare(SOURCE, replace(RESTORED, server_version=150001)).verdict == "equal"


@pytest.mark.parametrize(
    ("source", "restored", "verdict"),
    [
        (SequenceState(3, True, 1), SequenceState(33, True, 1), "equal"),  # a recovery's jump
        (SequenceState(3, True, 1), SequenceState(3, True, 1), "equal"),
        (SequenceState(3, True, 1), SequenceState(2, True, 1), "different"),
        (SequenceState(3, True, 1), SequenceState(3, False, 1), "different"),  # would give 3 again
        (SequenceState(3, False, 1), SequenceState(3, True, 1), "equal"),
        (SequenceState(3, True, 1), SequenceState(4, False, 1), "equal"),
        (SequenceState(1, True, 1), SequenceState(10, True, 1, 50, behind=True), "different"),  # its column is ahead
        (SequenceState(1, True, 1, 50, behind=True), SequenceState(1, True, 1, 50, behind=True), "equal"),  # the application counts
        (SequenceState(-3, True, -1), SequenceState(-33, True, -1), "equal"),  # descending
        (SequenceState(-3, True, -1), SequenceState(-2, True, -1), "different"),
        (SequenceState(3, True, 1), SequenceState(30, True, 2), "different"),
        (SequenceState(12012, True, 1, perhaps_unused=32), SequenceState(12000, True, 1), "equal"),  # promoted, and not used since
        (SequenceState(12012, True, 1, perhaps_unused=32), SequenceState(11979, True, 1), "different"),
        (SequenceState(-12012, True, -1, perhaps_unused=32), SequenceState(-12000, True, -1), "equal"),
        (SequenceState(12012, True, 1, perhaps_unused=32), SequenceState(12000, True, 1, 12005, behind=True), "different"),
    ],
)
def test_a_sequence_may_jump_ahead_and_never_back(source: SequenceState, restored: SequenceState, verdict: str) -> None:
    found = compare(replace(SOURCE, sequences={"public.s": source}), replace(RESTORED, sequences={"public.s": restored}))
    assert found.verdict == verdict
    assert [it.table for it in found.differences] == (["public.s"] if verdict == "different" else [])


digests = st.builds(TableDigest, st.integers(0, 3), st.integers(0, 2), st.integers(0, 2))
table_maps = st.dictionaries(st.sampled_from(["public.a", "public.b", "public.c"]), digests)
omissions = st.lists(st.sampled_from([Omission("public.a", "r"), Omission("public.z", "r")]), max_size=1).map(tuple)


@given(table_maps, table_maps, omissions, omissions)
def test_equal_is_only_ever_said_of_rows_that_were_read_and_agree(
    was: dict[str, TableDigest], now: dict[str, TableDigest], unread: tuple[Omission, ...], unread_now: tuple[Omission, ...]
) -> None:
    found = compare(replace(SOURCE, tables=was, unread=unread), replace(RESTORED, tables=now, unread=unread_now))
    if found.verdict == "equal":
        assert was == now
        assert not unread
        assert not unread_now
        assert sum(table.rows for table in was.values()) == found.rows_equal > 0
    assert (found.verdict == "different") == bool(found.differences)
