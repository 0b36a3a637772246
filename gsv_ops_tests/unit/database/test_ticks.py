"""Ticks of the database's schedules and sensors while the cluster is slow or away: they end in time, and the night's backup is taken."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.database import definitions as room
from gsv_ops.database import schedules, sensors
from gsv_ops.kube.errors import Unavailable
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory


class Slow:
    """An API server that takes its time, and then does not answer."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def get(self, *_: object, **__: object) -> NoReturn:
        time.sleep(self.seconds)
        raise Unavailable("the API server does not answer")

    list = get


def factory(tmp_path: Path, seconds: float) -> DeskFactory:
    kube: Any = Slow(seconds)
    return DeskFactory(kube, UPath(tmp_path))


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gate is open, and there is little time."""
    monkeypatch.setattr(gate, "why_not", lambda *_: "")
    for module in (schedules, sensors):
        monkeypatch.setattr(module, "LOOK_SECONDS", 0.2, raising=False)


@pytest.mark.parametrize("seconds", [0.0, 3.0])
def test_a_backup_is_taken_when_nobody_knows_how_old_the_newest_is(tmp_path: Path, seconds: float) -> None:
    (nightly,) = [s for s in room.of("cmp_postgres").schedules or () if s.name == "backup_database_nightly"]
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=datetime(2026, 11, 24, 1, 30, tzinfo=UTC),
            resources={"desk": factory(tmp_path, seconds)},
        )
        begun = time.monotonic()
        tick: Any = nightly(context)
        took = time.monotonic() - begun
    assert isinstance(tick, dg.RunRequest)
    assert took < 2


@pytest.mark.parametrize("name", ["observe_backups_of_others", "prove_unproven_backup"])
def test_a_sensor_does_not_wait_for_a_slow_cluster(tmp_path: Path, name: str) -> None:
    (sensor,) = [s for s in room.of("cmp_postgres").sensors or () if s.name == name]
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_sensor_context(instance=instance, resources={"desk": factory(tmp_path, 3.0)})
        begun = time.monotonic()
        with pytest.raises(gate.NoAnswer, match="gave no answer within"):
            sensor(context)
        assert time.monotonic() - begun < 2


class Another:
    """The cluster of another environment, whose backups are not to be looked at."""

    def get(self, resource: Resource, name: str, *_: object) -> Object:
        assert (resource.kind, name) == ("Namespace", "kube-system")
        return {"metadata": {"uid": "another"}}

    def list(self, *_: object, **__: object) -> NoReturn:
        raise AssertionError("the backups of another cluster were listed")


def test_backups_of_another_cluster_are_not_shown_and_what_was_seen_is_not_forgotten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "LOOK_SECONDS", 5.0)
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
    kube: Any = Another()
    (sensor,) = [s for s in room.of("cmp_postgres").sensors or () if s.name == "observe_backups_of_others"]
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        desk = DeskFactory(kube, UPath(tmp_path))
        context = dg.build_sensor_context(instance=instance, cursor='["u-1"]', resources={"desk": desk})
        tick: Any = sensor(context)
    assert "this is not the cluster of environment 'sandbox'" in tick.skip_reason.skip_message
    assert (tick.asset_events, tick.cursor) == ([], None), "None leaves the cursor as it is"
