"""Freezing and unfreezing on a real API server, from the launchpad's configuration to what every desk of the cluster then says."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.housekeeping import jobs
from gsv_ops.housekeeping.sensors import sensors
from gsv_ops.kube import objects, resources
from gsv_ops.kube.errors import AlreadyExists
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import LEASE
from gsv_ops.operations import freeze, gate, lease
from gsv_ops.operations.apply import apply_plan
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import PlanFrame
from gsv_ops.operations.plan import RUN_NAME, Action, Target
from gsv_ops.operations.store import PlanStore

pytestmark = pytest.mark.control_plane

PLACE = "cmp"  # platform.yaml's, for the sandbox
ADA = {"reason": "storage is moved", "who": "ada"}


class Desk:
    """One desk of the cluster, and how its jobs and its sensor are used."""

    def __init__(self, kube: Kube, root: Path, instance: dg.DagsterInstance) -> None:
        self.factory = DeskFactory(kube, UPath(root))
        self.instance = instance
        self.cursor: str | None = None

    def run(self, job: dg.JobDefinition, **config: Any) -> dg.ExecuteInProcessResult:
        resources = {"desk": self.factory, "plan_store": PlanStore(self.factory)}
        return job.execute_in_process(config, instance=self.instance, raise_on_error=False, resources=resources)

    def failure(self, job: dg.JobDefinition, **config: Any) -> str:
        result = self.run(job, **config)
        (event,) = [e for e in result.all_events if e.is_step_failure]
        assert event.step_failure_data.user_failure_data is not None
        return str(event.step_failure_data.user_failure_data.description)

    def tick(self) -> Any:
        """What the sensor's tick gives."""
        (sensor,) = [s for s in sensors() if s.name == "watch_desk"]
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor, resources={"desk": self.factory})
        result = sensor(context)
        self.cursor = result.cursor
        return result


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A desk of the sandbox's environment, on a cluster without any Lease."""
    monkeypatch.delenv("GSV_PLATFORM_FILE", raising=False)
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", objects.uid(kube.get(resources.NAMESPACE, "kube-system")))
    try:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}})
    except AlreadyExists:
        for body in kube.list(LEASE, PLACE):
            kube.delete(LEASE, objects.name(body), PLACE, uid=objects.uid(body))
    with dg.DagsterInstance.ephemeral() as instance:
        yield Desk(kube, tmp_path, instance)


def stored(desk: Desk) -> Object | None:
    return freeze.find(desk.factory.kube, PLACE)


def now() -> datetime:
    return datetime.now(UTC)


def test_a_freeze_stops_what_would_begin_by_itself_and_unfreezing_lets_it_go_on(desk: Desk) -> None:
    assert gate.why_not(desk.factory, "sweep", now()) == ""

    assert desk.run(jobs.FREEZE, **ADA, minutes=30, allow=["undo"]).success

    reason = gate.why_not(desk.factory, "sweep", now())
    assert reason.startswith("sweep was not started: the desk is frozen by ada since ")
    assert f"{now() + timedelta(minutes=30):until %Y-%m-%d %H:}" in reason
    assert "storage is moved; let through: undo" in reason
    assert gate.why_not(desk.factory, "undo", now()) == ""
    assert gate.why_not(desk.factory, "sweep", now() + timedelta(minutes=31)) == ""

    assert desk.run(jobs.UNFREEZE, who="bob").success
    assert stored(desk) is None
    assert gate.why_not(desk.factory, "sweep", now()) == ""


def test_a_second_desk_that_waits_for_the_lease_is_frozen_too(desk: Desk, tmp_path: Path) -> None:
    other = Desk(desk.factory.kube, tmp_path / "other", desk.instance)
    assert desk.run(jobs.FREEZE, **ADA).success
    assert desk.run(jobs.UNFREEZE, who="ada").success
    assert other.run(jobs.FREEZE, reason="again", who="bob").success
    assert "frozen by bob" in gate.why_not(desk.factory, "sweep", now())


def test_a_desk_without_the_lease_is_told_who_has_it(desk: Desk) -> None:
    lease.hold(desk.factory.kube, PLACE, 60, "sandbox/elsewhere/12345678", now())
    reason = gate.why_not(desk.factory, "sweep", now())
    assert reason.startswith("sweep was not started: another desk acts here: sandbox/elsewhere/12345678, since ")
    assert "Lease gsv-ops-desk in namespace cmp" in reason


def test_a_freeze_stops_a_plan_of_several_changes_at_its_next_one(desk: Desk) -> None:
    here = desk.factory.desk("r-1", lambda _: None, lambda _: False)
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    actions = tuple(Action("create", Target("v1", "ConfigMap", f"{name}-{RUN_NAME}", PLACE), "a test", body=body) for name in "ab")
    plan = PlanFrame("make_two", here.environment, here.cluster_identity, {}).plan(actions=actions)
    journal = Journal.open(here.records, "make_two", f"{now():%H%M%S%f}")

    class ThenFrozen:
        """The cluster, which somebody freezes right after the first change."""

        def create(self, body: Object) -> Object:
            made = here.kube.create(body)
            assert desk.run(jobs.FREEZE, **ADA).success
            return made

        def __getattr__(self, verb: str) -> Any:
            return getattr(here.kube, verb)

    cluster: Any = ThenFrozen()
    with pytest.raises(freeze.Frozen, match="make_two was refused: the desk is frozen by ada"):
        apply_plan(replace(here, kube=cluster, run_id=journal.root_run_id), plan, journal)
    assert [(outcome.verb, outcome.result) for outcome in journal.outcomes] == [("create", "done")]


def test_freezing_again_replaces_the_freeze_that_is_there(desk: Desk) -> None:
    assert desk.run(jobs.FREEZE, **ADA, allow=["undo"]).success
    assert desk.run(jobs.FREEZE, reason="and longer", who="bob", minutes=600).success
    body = stored(desk)
    assert body is not None
    found = freeze.of(body)
    assert (found.who, found.reason, found.allow) == ("bob", "and longer", frozenset())
    assert found.until is not None
    assert timedelta(minutes=599) < found.until - now() <= timedelta(minutes=600)


def test_a_plan_freezes_nothing_and_shows_what_stands(desk: Desk) -> None:
    until = (now() + timedelta(hours=1)).isoformat(timespec="seconds")
    assert desk.run(jobs.FREEZE, **ADA, mode="plan", until=until).success
    assert stored(desk) is None
    assert desk.run(jobs.FREEZE, **ADA, until=until).success
    plan = desk.run(jobs.UNFREEZE, who="bob", mode="plan").output_for_node("plan")
    assert "frozen by ada" in plan["facts"]["frozen now"]
    assert stored(desk) is not None


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"until": "2020-01-01T00:00:00Z"}, "until 2020-01-01T00:00:00Z is past; nothing would be frozen"),
        ({"minutes": 10081}, "longer than desk.freeze_longest_minutes allows (7 days, 0:00:00)"),
    ],
)
def test_an_end_that_makes_no_sense_is_refused(config: dict[str, Any], said: str, desk: Desk) -> None:
    assert said in desk.failure(jobs.FREEZE, **ADA, **config)
    assert stored(desk) is None


def test_unfreezing_what_is_not_frozen_is_fine(desk: Desk) -> None:
    assert desk.run(jobs.UNFREEZE, who="bob").success


def test_the_page_shows_a_freeze_once_and_its_end_by_itself(desk: Desk) -> None:
    first = desk.tick()
    assert [type(e).__name__ for e in first.asset_events] == ["AssetObservation", "AssetCheckEvaluation"]
    assert first.asset_events[1].passed
    assert "this desk acts here" in desk.tick().skip_reason.skip_message

    assert desk.run(jobs.FREEZE, **ADA).success
    shown = desk.tick()
    assert (shown.asset_events[1].passed, shown.asset_events[1].severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "frozen by ada" in shown.asset_events[1].description
    assert shown.asset_events[0].metadata["why"].value == "storage is moved"
    again = desk.tick()
    assert not again.asset_events
    assert again.skip_reason.skip_message.startswith("this desk acts here: it holds the Lease. It is frozen by ada since ")

    body = stored(desk)
    assert body is not None
    past = {"metadata": {"annotations": {freeze.UNTIL: (now() - timedelta(seconds=1)).isoformat()}}}
    desk.factory.kube.patch(LEASE, freeze.NAME, PLACE, past)
    assert desk.tick().asset_events[1].passed
