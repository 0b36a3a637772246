"""WAL counts as archived when the object store has it, within its time; else the archiver says why not."""

from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import archived
from gsv_ops.database.archived import NotArchived, Stretch
from gsv_ops.database.barman_store import BarmanStore, StoreUnreadable
from gsv_ops.database.session import QueryFailed
from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec

SIZE = 16 * 2**20
STRETCH = Stretch("000000010000000000000003", "000000010000000000000005", "the WAL to the end of Backup b")


class Filling:
    """A store that gets a segment every two seconds."""

    def __init__(self, clock: "Clock", **arrives: float) -> None:
        self.clock, self.arrives = clock, {f"00000001000000000000000{name[1]}": at for name, at in arrives.items()}

    def segments(self, names: Collection[str]) -> set[str]:
        return {name for name, at in self.arrives.items() if at <= self.clock.seconds} & set(names)


class Clock:
    seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Status:
    failing = True
    timeline = 1
    last_archived_wal: str | None = None
    last_failed_wal = "000000010000000000000004"
    failed_count = 7


def wait(tmp_path: Path, clock: Clock, store: Any, seconds: float = 10) -> float:
    desk = Desk(
        cast(Kube, None),
        spec.load(None),
        "dev",
        "c-1",
        Records(UPath(tmp_path)),
        "run",
        lambda _: None,
        monotonic=lambda: clock.seconds,
        sleep=clock.sleep,
    )
    return archived.wait(desk, cast(BarmanStore, store), cast(Any, None), STRETCH, SIZE, seconds)


def test_it_waits_for_every_segment(tmp_path: Path) -> None:
    clock = Clock()
    assert wait(tmp_path, clock, Filling(clock, s3=0, s4=6, s5=2)) == 6.0
    assert wait(tmp_path, Clock(), Filling(Clock(), s3=0, s4=0, s5=0)) == 0.0


def test_what_does_not_come_is_named_with_the_archivers_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archived, "archiver_status", lambda _: Status())
    clock = Clock()
    with pytest.raises(NotArchived) as caught:
        wait(tmp_path, clock, Filling(clock, s3=0))
    assert str(caught.value) == (
        "the WAL to the end of Backup b is not in the object store after 11 s: 2 segments are missing, the first is "
        "000000010000000000000004. The archiver last archived nothing; its newest attempt failed (000000010000000000000004, 7 failures)."
    )


def test_an_archiver_that_does_not_fail_is_not_blamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = Status()
    status.failing, status.last_archived_wal = False, "000000010000000000000003"  # type: ignore[misc]
    monkeypatch.setattr(archived, "archiver_status", lambda _: status)
    clock = Clock()
    with pytest.raises(NotArchived, match=r"The archiver last archived 000000010000000000000003\.$"):
        wait(tmp_path, clock, Filling(clock, s3=0))


def test_a_failover_that_cut_the_timeline_off_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    status = Status()
    status.failing, status.last_archived_wal, status.timeline = False, "000000020000000000000004", 2  # type: ignore[misc]
    monkeypatch.setattr(archived, "archiver_status", lambda _: status)
    clock = Clock()
    with pytest.raises(NotArchived, match=r"A failover began timeline 2 before the end of timeline 1 was archived; take another backup\.$"):
        wait(tmp_path, clock, Filling(clock, s3=0))


def test_a_server_that_cannot_be_asked_does_not_hide_what_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: object) -> Status:
        raise QueryFailed("the connection is lost", None)

    monkeypatch.setattr(archived, "archiver_status", gone)
    clock = Clock()
    with pytest.raises(NotArchived, match=r"2 segments are missing.*The archiver could not be asked why: the connection is lost"):
        wait(tmp_path, clock, Filling(clock, s3=0))


class Away:
    """A store that does not answer until some moment, and has everything then."""

    def __init__(self, clock: Clock, until: float) -> None:
        self.clock, self.until = clock, until

    def segments(self, names: Collection[str]) -> set[str]:
        if self.clock.seconds < self.until:
            raise StoreUnreadable("the object store could not be listed: EndpointConnectionError")
        return set(names)


def test_a_store_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    clock = Clock()
    assert wait(tmp_path, clock, Away(clock, 7)) == 7.0


def test_a_store_that_stays_away_ends_the_wait_at_its_deadline(tmp_path: Path) -> None:
    clock = Clock()
    with pytest.raises(StoreUnreadable) as caught:
        wait(tmp_path, clock, Away(clock, 1000))
    assert str(caught.value) == (
        "whether the WAL to the end of Backup b is archived could not be seen for 11 s: "
        "the object store could not be listed: EndpointConnectionError"
    )
