"""The watch replays nothing on its first look, tells each change once, and takes no promotion of the desk's for somebody else's."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from gsv_ops.database import definitions as room
from gsv_ops.database import failovers, goings_on, noticed, observe, sensors
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.goings_on import Around, Trouble
from gsv_ops.database.noticed import Memory, Noticed
from gsv_ops.database.promotion import record
from gsv_ops.database.promotion.record import Promotion
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.records import Records
from gsv_ops_tests.unit.database.a_cluster import DATABASE, backup, cluster

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
A, B = "cmp-postgres-1", "cmp-postgres-2"
MINUTE = timedelta(minutes=1)


def primary(name: str, target: str = "", asked: datetime | None = None) -> Object:
    stamp = asked and f"{asked:%Y-%m-%dT%H:%M:%S.%fZ}"
    return cluster(status__currentPrimary=name, status__targetPrimary=target or name, status__targetPrimaryTimestamp=stamp)


def remembered(name: str = A, troubles: dict[str, str] | None = None) -> Memory:
    return Memory("u-cluster", name, NOW - MINUTE, troubles or {}, 4)


def look(memory: Memory | None, body: Object, *troubles: str, ours: Promotion | None = None, asked: bool = True) -> Noticed:
    return noticed.since(memory, body, [Trouble(key, f"{key}!") for key in troubles], ours, NOW, asked=asked)


def test_the_first_look_replays_nothing() -> None:
    found = look(None, primary(A), "stale")
    assert (found.first, found.changed) == (True, False)
    assert Memory.of_cursor(found.memory.to_cursor()) == found.memory
    again = noticed.since(found.memory, primary(A), [Trouble("stale", "another wording")], None, NOW + MINUTE)
    assert not again.changed


def test_another_cluster_of_the_name_is_a_first_look() -> None:
    found = look(Memory("u-former", B, NOW, {}), primary(A))
    assert (found.first, found.changed) == (True, False)


@pytest.mark.parametrize("cursor", [None, "", "nonsense", "{}", "[]", '{"cluster": 1}'])
def test_a_cursor_that_cannot_be_read_is_a_first_look(cursor: str | None) -> None:
    assert Memory.of_cursor(cursor) is None


@pytest.mark.parametrize(
    ("ours", "asked", "former"),
    [
        (None, NOW, A),
        (Promotion(A, B, NOW, "r"), NOW, ""),
        # the clocks of the runs and of the ticks may differ
        (Promotion(A, B, NOW - 9 * MINUTE, "r"), NOW - 9 * MINUTE, ""),
        # it explains an earlier change; or it was written down, and the patch was refused
        (Promotion(A, B, NOW - timedelta(seconds=30), "r"), NOW - timedelta(seconds=10), A),
        (Promotion(A, B, NOW - timedelta(seconds=30), "r"), None, A),
        (Promotion(B, A, NOW, "r"), NOW, A),
    ],
)
def test_a_primary_that_moved_without_the_desk_is_noticed(ours: Promotion | None, asked: datetime | None, former: str) -> None:
    found = look(remembered(), primary(B, asked=asked), ours=ours)
    assert (found.former, found.changed) == (former, bool(former))
    assert (found.memory.primary, found.memory.since) == (B, NOW)


def test_while_it_is_being_moved_nothing_is_said_and_nothing_forgotten() -> None:
    found = look(remembered(), primary(A, B))
    assert (found.changed, found.memory.primary) == (False, A)
    assert look(found.memory, primary(B)).former == A


def test_what_a_primary_told_is_not_over_while_it_cannot_be_asked() -> None:
    memory = remembered(troubles={"server: stale": "the archive is stale", "u failed": "Backup b failed"})
    found = look(memory, primary(A), "the primary cannot be asked", asked=False)
    assert [trouble.id for trouble in found.begun] == ["the primary cannot be asked"]
    assert found.ended == ("Backup b failed",)
    later = look(found.memory, primary(A), asked=True)
    assert set(later.ended) == {"the archive is stale", "the primary cannot be asked!"}
    assert not look(found.memory, primary(A), "the primary cannot be asked", "server: stale", asked=True).begun


@given(st.lists(st.sets(st.sampled_from("abc")), max_size=8))
def test_every_begin_and_every_end_is_told_once_and_no_key_twice(ticks: list[set[str]]) -> None:
    memory, open_, keys = remembered(), set[str](), list[str]()
    for troubles in ticks:
        found = look(memory, primary(A), *sorted(troubles))
        assert {trouble.id for trouble in found.begun} == troubles - open_
        assert set(found.ended) == {f"{key}!" for key in open_ - troubles}
        if found.changed:
            keys.append(found.run_key("check"))
        memory, open_ = found.memory, troubles
    assert len(keys) == len(set(keys))


class TestSensor:
    """Its ticks, with what it looks at given."""

    @pytest.fixture(autouse=True)
    def given(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
        monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
        self.body, self.gate, self.frozen, self.backups = primary(A), "", "", tuple[Object, ...]()
        self.troubles, self.of_servers = list[Trouble](), cast(list[Trouble] | Unseen, [])
        monkeypatch.setattr(gate, "why_no_look", lambda desk, what, now: self.gate and f"{what}: {self.gate}")
        monkeypatch.setattr(gate, "why_not", lambda desk, what, now: self.gate or self.frozen)
        monkeypatch.setattr(observe, "around", lambda *_: Around(self.body, self.backups, ()))
        monkeypatch.setattr(goings_on, "of_objects", lambda *_: self.troubles)
        monkeypatch.setattr(observe, "of_servers", self.asked)
        kube: Any = type("Kube", (), {"get": lambda *_: {"metadata": {"uid": "the-one"}}})()
        self.desk = DeskFactory(kube, UPath(tmp_path / "records"))
        (self.sensor,) = [s for s in room.of("cmp_postgres").sensors or () if s.name == "watch_database"]
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: str | None = None

    def asked(self, *_: object) -> list[Trouble] | Unseen:
        """What the primary tells; an Unseen without a reason: nothing for a second."""
        if isinstance(self.of_servers, Unseen) and not self.of_servers.why:
            time.sleep(1.0)
        return self.of_servers

    def tick(self) -> tuple[list[str], str]:
        """The jobs it starts, and why it starts none."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"desk": self.desk})
        answer: Any = self.sensor(context)
        if isinstance(answer, dg.SkipReason):
            return [], str(answer.skip_message)
        self.cursor = answer.cursor
        return [str(request.job_name) for request in answer.run_requests or []], str(answer.skip_reason and answer.skip_reason.skip_message)

    def test_a_failover_starts_the_checks_once_and_is_on_record(self) -> None:
        assert "nothing is replayed" in self.tick()[1]
        self.body = primary(B)
        assert self.tick()[0] == ["check_database"]
        assert self.tick()[0] == []
        found = failovers.newest(self.desk.records, DATABASE, "the-one")
        assert found is not None
        assert (found.former, found.instance) == (A, B)

    def test_a_promotion_of_the_desk_is_none(self) -> None:
        self.tick()
        record.write(Records(self.desk.records.root), DATABASE, "the-one", Promotion(A, B, NOW, "r"))
        self.body = primary(B, asked=NOW)
        assert self.tick() == ([], "nothing new; 0 troubles are known")
        assert failovers.newest(self.desk.records, DATABASE, "the-one") is None

    def test_a_damaged_record_explains_nothing_and_hides_nothing(self) -> None:
        self.tick()
        record.write(Records(self.desk.records.root), DATABASE, "the-one", Promotion(A, B, NOW, "r"))
        (file,) = (path for path in self.desk.records.root.rglob("*.json") if "promotions" in str(path))
        file.write_text("{")
        self.body = primary(B, asked=NOW)
        assert self.tick()[0] == ["check_database"]

    def test_a_closed_gate_holds_it_back_until_it_opens(self) -> None:
        self.tick()
        self.troubles, self.gate = [Trouble("stale", "the archive is stale")], "another desk acts here"
        assert self.tick() == ([], "check_database: another desk acts here")
        self.gate = ""
        assert self.tick()[0] == ["check_database"]
        self.troubles = []
        assert self.tick()[0] == ["check_database"], "that it is over is judged too"

    def test_a_freeze_stops_what_changes_and_not_the_look(self) -> None:
        self.tick()
        self.frozen, self.body = "frozen by name", primary(B)
        self.troubles = [Trouble("missed u 1", "was due and made nothing")]
        assert self.tick()[0] == ["check_database"]
        assert failovers.newest(self.desk.records, DATABASE, "the-one") is not None

    def test_a_way_to_the_primary_that_hangs_hides_nothing_else(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sensors, "ASK_SECONDS", 0.05)
        self.of_servers = [Trouble("server: stale", "the archive is stale")]
        self.tick()
        self.of_servers, self.troubles = Unseen(""), [Trouble("u stuck", "Backup b is stuck")]
        assert self.tick()[0] == ["check_database"]
        known = Memory.of_cursor(self.cursor)
        assert known is not None
        assert set(known.troubles) == {"server: stale", "u stuck", goings_on.NOT_ASKED}
        assert "no answer within" in known.troubles[goings_on.NOT_ASKED]
        self.of_servers = [Trouble("server: stale", "the archive is stale")]
        assert self.tick()[0] == ["check_database"], "it can be asked again"
        self.body = primary(A, B)
        assert self.tick()[0] == [], "while the primary moves nothing of it is over"

    def test_a_missed_schedule_takes_a_backup_unless_one_is_young(self) -> None:
        self.tick()
        self.troubles = [Trouble("missed u 1", "was due and made nothing")]
        assert self.tick()[0] == ["check_database", "backup_database"]
        self.backups = (backup("b", stopped=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"),)
        self.troubles = [Trouble("missed u 2", "was due and made nothing")]
        assert self.tick()[0] == ["check_database"]
