"""What the archive can give back: which base backup, through which WAL, how late, how early; and nothing that it cannot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database.barman_store import BaseBackup
from gsv_ops.database.goal import Goal
from gsv_ops.database.lsn import segment_name
from gsv_ops.database.window import Commit, Segment, Window, choose, judge

SIZE = 16 * 2**20
BEGIN = datetime(2026, 11, 27, 6, tzinfo=UTC)
NOW = BEGIN + timedelta(hours=2)


def minute(number: float) -> datetime:
    return BEGIN + timedelta(minutes=number)


def base(number: int, timeline: int = 1) -> BaseBackup:
    """The base backup of ten times that minute: it begins in segment 10n, and ends in the middle of the one after."""
    start = 10 * number
    return BaseBackup(
        f"base-{number}",
        1000,
        "DONE",
        ended=minute(start + 1),
        began=minute(start),
        begin_wal=segment_name(start * SIZE, timeline),
        end_wal=segment_name((start + 1) * SIZE, timeline),
        begin_lsn=start * SIZE + 40,
        end_lsn=(start + 1) * SIZE + SIZE // 2,
        timeline=timeline,
        segment_size=SIZE,
    )


def wal(first: int, last: int, timeline: int = 1) -> list[Segment]:
    """A segment a minute, each stored when it is full."""
    return [Segment(segment_name(n * SIZE, timeline), 100, minute(n + 1)) for n in range(first, last + 1)]


LAST_COMMIT = Commit(minute(39.5), 39 * SIZE + 500)
# Timeline 1 was left in segment 25, where timeline 2 goes on.
SIMPLE = Window((base(1), base(2), base(3)), 1, (), tuple(wal(10, 39)), LAST_COMMIT)
SWITCHED = Window((base(1), base(2), base(3, 2)), 2, ((1, 25 * SIZE + 999),), (*wal(10, 25), *wal(25, 39, 2)), LAST_COMMIT)


def at(moment: datetime, **more: Any) -> Goal:
    return Goal("time", time=moment, **more)


def position(lsn: int, **more: Any) -> Goal:
    return Goal("lsn", lsn=lsn, **more)


@pytest.mark.parametrize(
    ("window", "goal", "chosen", "first", "last", "segments"),
    [
        (SIMPLE, Goal("end_of_wal"), "base-3", "00000001000000000000001E", "000000010000000000000027", 10),
        (SIMPLE, at(minute(25.5)), "base-2", "000000010000000000000014", "000000010000000000000019", 6),
        (SIMPLE, at(minute(21)), "base-2", "000000010000000000000014", "000000010000000000000015", 2),
        (SIMPLE, at(minute(20.9)), "base-1", "00000001000000000000000A", "000000010000000000000014", 11),
        (SIMPLE, position(22 * SIZE), "base-2", "000000010000000000000014", "000000010000000000000016", 3),
        (SIMPLE, position(base(2).end_lsn), "base-2", "000000010000000000000014", "000000010000000000000015", 2),
        (SIMPLE, position(base(2).end_lsn - 1), "base-1", "00000001000000000000000A", "000000010000000000000015", 12),
        (
            SIMPLE,
            Goal("proof", lsn=35 * SIZE, timeline=1, backup_id="base-1"),
            "base-1",
            *("00000001000000000000000A", "000000010000000000000023", 26),
        ),
        (SIMPLE, Goal("transaction", transaction=7), "base-1", "00000001000000000000000A", "000000010000000000000027", 30),
        (
            SIMPLE,
            Goal("restore_point", restore_point="p", backup_id="base-3"),
            "base-3",
            "00000001000000000000001E",
            "000000010000000000000027",
            10,
        ),
        # across the switch, from a base backup of the timeline that was left
        (SWITCHED, at(minute(29)), "base-2", "000000010000000000000014", "00000002000000000000001C", 9),
        (SWITCHED, position(25 * SIZE + 998), "base-2", "000000010000000000000014", "000000010000000000000019", 6),
        (SWITCHED, position(25 * SIZE + 999), "base-2", "000000010000000000000014", "000000020000000000000019", 6),
        (SWITCHED, Goal("end_of_wal"), "base-3", "00000002000000000000001E", "000000020000000000000027", 10),
    ],
)
def test_from_which_base_backup_through_which_wal(window: Window, goal: Goal, chosen: str, first: str, last: str, segments: int) -> None:
    judged = judge(window, goal, NOW)
    assert judged.refused == ()
    assert judged.base is not None
    assert (judged.base.backup_id, judged.first, judged.last, judged.segments) == (chosen, first, last, segments)
    assert judged.bytes == 100 * segments


@pytest.mark.parametrize(
    ("window", "goal", "told"),
    [
        (
            SIMPLE,
            at(NOW + timedelta(seconds=1)),
            ("2026-11-27 08:00:01+00:00 lies in the future; the nearest that is known to be reachable is 2026-11-27 06:39:29.999999+00:00"),
        ),
        (
            SIMPLE,
            at(minute(39.5)),
            (
                "is not before the last commit in the archive (2026-11-27 06:39:30+00:00), and PostgreSQL stops "
                "at a time only at a commit after it; the nearest that is known to be reachable is 2026-11-27 "
                "06:39:29.999999+00:00"
            ),
        ),
        (SIMPLE, at(minute(60)), "is not before the last commit"),
        (
            SIMPLE,
            at(minute(10.9)),
            (
                "lies before the end of the first base backup; the nearest that can be reached is 2026-11-27 "
                "06:11:00+00:00 (position 0/B800000)"
            ),
        ),
        (
            SIMPLE,
            position(40 * SIZE),
            "0/28000000 lies past the end of the archived WAL, 0/28000000; the last commit in it is at 0/270001F4",
        ),
        (SIMPLE, position(5), "lies before the end of the first base backup"),
        (
            SIMPLE,
            Goal("end_of_wal", backup_id="gone"),
            "base backup gone is not in the store, or not finished; the newest there: base-1, base-2, base-3",
        ),
        (
            SIMPLE,
            at(minute(15), backup_id="base-3"),
            "base backup base-3 ended at 2026-11-27 06:31:00+00:00, after 2026-11-27 06:15:00+00:00",
        ),
        (
            replace(SIMPLE, bases=()),
            Goal("end_of_wal"),
            "the store has no finished base backup that timeline 1 goes on from: take a backup first",
        ),
        (replace(SIMPLE, wal=()), Goal("end_of_wal"), "no WAL from 00000001000000000000001E on is in the store"),
        (
            replace(SIMPLE, wal=tuple(s for s in SIMPLE.wal if s.name[-2:] != "21")),
            Goal("end_of_wal"),
            ("1 WAL segments between 00000001000000000000001E and 000000010000000000000027 are not in the store: 000000010000000000000021"),
        ),
        # without the history of timeline 2, nothing of timeline 1 is known to lead there
        (
            replace(SWITCHED, bases=(base(1),), history=None),
            Goal("end_of_wal"),
            ("no finished base backup that timeline 2, whose history cannot be read, goes on from; 1 of other timelines"),
        ),
        # a base backup that ended on timeline 1 after that was left is a way to nowhere
        (
            replace(SWITCHED, bases=(base(3),)),
            Goal("end_of_wal"),
            "no finished base backup that timeline 2 goes on from; 1 of other timelines",
        ),
        (
            replace(SWITCHED, bases=(base(3),)),
            Goal("end_of_wal", backup_id="base-3"),
            "base backup base-3 is of timeline 1, which timeline 2 does not go on from",
        ),
        (
            replace(SIMPLE, last_commit=None),
            at(minute(41)),
            "is after the newest WAL was archived (2026-11-27 06:40:00+00:00); which time is reachable is not known",
        ),
    ],
)
def test_what_cannot_be_reached_is_refused_with_the_nearest(window: Window, goal: Goal, told: str) -> None:
    judged = judge(window, goal, NOW)
    assert any(told in reason for reason in judged.refused), judged.refused


@pytest.mark.parametrize(
    ("window", "goal", "told"),
    [
        (replace(SIMPLE, last_commit=None), at(minute(39)), "that 2026-11-27 06:39:00+00:00 can be reached is not proven"),
        (
            replace(SIMPLE, last_commit=None, proven_to=minute(38)),
            at(minute(39)),
            "the nearest that is known to be reachable is 2026-11-27 06:38",
        ),
        (
            SIMPLE,
            position(39 * SIZE + 501),
            "0/270001F5 lies in the newest archived segment, which may end before it; up to 0/270001F4 it is sure",
        ),
        (
            SIMPLE,
            Goal("transaction", transaction=7),
            "whether transaction 7, with it is in the archived WAL cannot be told before it is replayed",
        ),
        (replace(SIMPLE, wal=(), unlisted="azure"), position(25 * SIZE), "the WAL in the store is not known"),
    ],
)
def test_what_cannot_be_told_is_said_and_not_refused(window: Window, goal: Goal, told: str) -> None:
    judged = judge(window, goal, NOW)
    assert judged.refused == ()
    assert told in " ".join(judged.warned)


@pytest.mark.parametrize("proven", [minute(39), minute(39.4)])
def test_what_a_fingerprint_proves_needs_no_warning(proven: datetime) -> None:
    judged = judge(replace(SIMPLE, last_commit=None, proven_to=proven), at(minute(39)), NOW)
    assert (judged.refused, judged.warned) == ((), ())


@given(st.floats(0, 130), st.sampled_from([SIMPLE, SWITCHED, replace(SIMPLE, last_commit=None)]))
def test_a_time_that_is_accepted_lies_after_its_base_backup_and_before_a_commit(offset: float, window: Window) -> None:
    moment = minute(offset)
    judged = judge(window, at(moment), NOW)
    if judged.refused:
        return
    assert judged.base is not None
    assert judged.base.ended is not None
    assert judged.base.ended <= moment <= NOW
    assert window.last_commit is None or moment < window.last_commit.at
    newer = [b for b in window.usable if b.ended and judged.base.ended < b.ended <= moment]
    assert newer == [], "a newer one would have to replay less"


@given(st.integers(0, 45 * SIZE), st.sampled_from([SIMPLE, SWITCHED]))
def test_a_position_that_is_accepted_lies_between_its_base_backup_and_the_archives_end(lsn: int, window: Window) -> None:
    judged = judge(window, position(lsn), NOW)
    if not judged.refused:
        assert judged.base is not None
        assert judged.base.end_lsn <= lsn < window.end
        assert window.on_history(judged.base)


def test_the_recovery_target_says_the_goal_the_base_backup_and_the_timeline() -> None:
    for goal, said in (
        (at(minute(1)), {"targetTime": "2026-11-27T06:01:00+00:00"}),
        (position(0x402E3D0), {"targetLSN": "0/402E3D0"}),
        (Goal("proof", lsn=0x402E3D0), {"targetLSN": "0/402E3D0", "exclusive": True}),
        (Goal("transaction", transaction=7), {"targetXID": "7"}),
        (Goal("restore_point", restore_point="p"), {"targetName": "p"}),
        (Goal("end_of_wal"), {}),
    ):
        assert goal.recovery_target("b", 3) == {"backupID": "b", "targetTLI": "3", **said}
    assert choose(SIMPLE, Goal("end_of_wal"))[1] == "it is the newest"
