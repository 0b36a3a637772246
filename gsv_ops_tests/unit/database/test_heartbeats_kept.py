"""Which heartbeats must be in a restored database, which must not, and of which nobody can tell."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database.heartbeats_kept import End, Row, compare, newest, since, tells_from
from gsv_ops.database.session import connect

BEGIN = datetime(2026, 11, 27, 6, tzinfo=UTC)
ROWS = [Row(BEGIN + timedelta(minutes=n), 1000 * n + 100) for n in range(10)]


def after(minutes: float, lsn: int = 10**6) -> End:
    """A recovery to that time; by the position alone nothing would be after it."""
    return End(lsn, BEGIN + timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("restored", "end", "answer", "found"),
    [
        (ROWS[:5], after(4.5), "yes", "all 4 heartbeats from before 2026-11-27 06:04:30+00:00 are there, and none of after it"),
        (ROWS[:4], after(4.5), "yes", "all 4 heartbeats"),  # the one of minute 4 may have been committed after it
        (ROWS[:3], after(4.5), "no", "1 of 4 heartbeats from before 2026-11-27 06:04:30+00:00 are missing: 2026-11-27 06:03:00+00:00"),
        (ROWS[:6], after(4.5), "no", "1 heartbeats of after 2026-11-27 06:04:30+00:00 are there, the first of 2026-11-27 06:05:00+00:00"),
        ([*ROWS[:2], *ROWS[3:5]], after(4.5), "no", "are missing: 2026-11-27 06:02:00+00:00"),
        ([], after(4.5), "no", "4 of 4 heartbeats"),
        (ROWS[:5], End(4500), "yes", "all 4 heartbeats from before position 0/1194 are there"),
        (ROWS[:6], End(4500), "no", "1 heartbeats of after position 0/1194 are there"),
        (ROWS[:5], End(4100), "no", "1 heartbeats of after position 0/1004"),
        # to a time, and the log ended before it
        (ROWS[:5], after(7.5, 4500), "yes", "all 4 heartbeats"),
    ],
)
def test_all_of_before_and_none_of_after(restored: list[Row], end: End, answer: str, found: str) -> None:
    kept = compare(ROWS, restored, end)
    assert kept.answer == answer
    assert found in kept.found


def test_both_sides_of_the_end_are_told() -> None:
    kept = compare(ROWS, ROWS[:5], after(4.5))
    assert (kept.before, kept.newest_before, kept.first_after) == (4, ROWS[4], ROWS[5])


def test_without_the_source_only_what_must_not_be_there_is_known() -> None:
    assert compare(None, ROWS[:5], after(4.5)).answer == "unknown"
    assert compare(None, ROWS[:6], after(4.5)).answer == "no"
    assert "there is none" in compare(None, [], after(4.5)).found


@given(st.floats(0, 10), st.sets(st.integers(0, 9)), st.booleans())
def test_yes_means_that_nothing_certain_is_missing_or_too_much(minutes: float, there: set[int], by_time: bool) -> None:
    end = after(minutes) if by_time else End(int(1000 * minutes))
    certain = {n for n in range(9) if not end.after(ROWS[n + 1])}
    late = {n for n in range(10) if end.after(ROWS[n])}
    answer = compare(ROWS, [ROWS[n] for n in sorted(there)], end).answer
    assert answer == ("yes" if certain <= there and not late & there else "no")


@pytest.mark.postgres
def test_rows_are_read_oldest_first_and_a_table_that_is_not_there_is_none(make_database) -> None:  # type: ignore[no-untyped-def]
    with connect(make_database().endpoint) as session:
        assert newest(session) is None
    database = make_database(
        "create table public.heartbeat (at timestamptz primary key, lsn pg_lsn not null)",
        "insert into public.heartbeat values ('2026-11-27T06:01:00Z', '0/44C'), ('2026-11-27T06:00:00Z', '0/64')",
    )
    with connect(database.endpoint) as session:
        assert newest(session) == ROWS[:2]
        assert since(session, ROWS[1].at) == ROWS[1:2]
        assert tells_from(session) == ROWS[1].at
