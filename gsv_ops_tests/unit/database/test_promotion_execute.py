"""A promotion that does not come to its end says which instance is the primary now; nothing is asked for before writes are seen to work."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database.promotion import execute, front_door, record
from gsv_ops.database.promotion.front_door import Probe
from gsv_ops.kube.errors import Unavailable, WaitTimeout
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.ending import four_lines
from gsv_ops.operations.freeze import Frozen
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan, Target
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster

A, B = "cmp-postgres-1", "cmp-postgres-2"
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ASKED = {"status__targetPrimary": B, "status__phase": "Switchover in progress", "status__phaseReason": f"Switching over to {B}"}


class Switching:
    """A Kube whose Cluster goes through these states, the last of them for ever; None is a deletion. `slices`: behind its Services."""

    def __init__(self, *states: Object | None, silent: bool = False, slices: list[Object] | None = None) -> None:
        self.states, self.silent, self.slices = list(states), silent, slices or []

    def wait(self, *_: Any, timeout: float, what: str) -> Any:
        until: Callable[[Object | None], Any] = _[-1]
        for state in self.states:
            if (found := until(state)) is not None:
                return found
        raise WaitTimeout(f"{what} took longer than {timeout:.0f} s", what=what)

    def get(self, *_: Any) -> Object:
        if self.silent:
            raise Unavailable("the API server does not answer")
        body = self.states[-1]
        assert body is not None
        return body

    def list(self, *_: Any, **__: Any) -> list[Object]:
        return self.slices


def desk(tmp_path: Path, kube: Switching) -> Desk:
    clock = iter(range(1, 10_000))
    return Desk(
        cast(Kube, kube),
        spec.load(None),
        "dev",
        "c-1",
        Records(UPath(tmp_path)),
        "run",
        lambda _: None,
        monotonic=lambda: float(next(clock)),
        sleep=lambda _: None,
    )


@pytest.mark.parametrize(
    ("states", "silent", "told"),
    [
        ([cluster(**ASKED), cluster(**ASKED, status__currentPrimary=B)], False, ""),
        (
            [cluster(**ASKED)],
            False,
            f"{B} is not the primary within 300 s. The primary now is {A}, the phase 'Switchover in progress' (Switching over to {B}). "
            "The operator goes on with it by itself",
        ),
        ([cluster(**ASKED)], True, "Which instance is the primary now is not known: the API server does not answer."),
        (
            [cluster(**ASKED), cluster(status__targetPrimary=A)],
            False,
            f"the target is {A} and no longer {B}: the operator, or somebody, chose another. The primary now is {A}",
        ),
        ([cluster(**ASKED), cluster(status__targetPrimary="pending")], False, f"the target is pending and no longer {B}"),
        ([cluster(**ASKED), None], False, "Cluster cmp-postgres was deleted during the promotion"),
    ],
)
def test_which_instance_is_the_primary_now_is_said(tmp_path: Path, states: list[Object | None], silent: bool, told: str) -> None:
    at = desk(tmp_path, Switching(*states, silent=silent))
    if not told:
        execute.wait_promoted(at, DATABASE, B, 300.0)
        return
    with pytest.raises(OperationFailed) as caught:
        execute.wait_promoted(at, DATABASE, B, 300.0)
    assert told in str(caught.value)
    assert silent or states[-1] is None or caught.value.next_command == "kubectl cnpg status cmp-postgres -n cmp"


def test_without_a_write_that_works_nothing_is_asked_for(tmp_path: Path) -> None:
    """Nobody stands behind the Service: the probe's own reason is told."""
    at = desk(tmp_path, Switching(cluster()))
    probe = Probe(at, DATABASE, cluster(), problems=["the read-write Service leads to no instance; expected one"])
    with pytest.raises(OperationFailed) as caught:
        execute.wait_written(at, probe, 0, 5, 20.0, f"{A} is the primary, and nothing was changed")
    assert "nothing was changed, but writes through the read-write Service do not go on" in str(caught.value)
    assert "leads to no instance" in str(caught.value)


@pytest.mark.parametrize(
    ("slices", "behind"),
    [
        ([], []),
        ([{"endpoints": None}], []),
        ([{"endpoints": [{"targetRef": {"name": A}}]}], [A]),
        ([{"endpoints": [{"targetRef": {"name": A}, "conditions": {"ready": False}}, {"targetRef": {"name": B}}]}], [B]),
        ([{"endpoints": [{"targetRef": {"name": B}}]}, {"endpoints": [{"targetRef": {"name": A}}]}], [A, B]),
    ],
)
def test_the_instance_behind_the_service_is_the_one_that_is_ready(tmp_path: Path, slices: list[Object], behind: list[str]) -> None:
    at = desk(tmp_path, Switching(cluster(), slices=slices))
    assert front_door.behind(at, DATABASE, cluster()) == behind
    if len(behind) != 1:
        with pytest.raises(OperationFailed, match="the read-write Service leads to"), front_door.session(at, DATABASE, cluster()):
            pass


def test_the_outage_is_the_longest_time_without_an_acknowledged_commit(tmp_path: Path) -> None:
    probe = Probe(desk(tmp_path, Switching(cluster())), DATABASE, cluster())
    assert probe.outage() == 0.0
    probe.acknowledged += [(moment, NOW) for moment in (1.0, 1.1, 4.6, 4.7)]
    assert probe.outage() == pytest.approx(3.5)


PLAN = Plan(
    "promote_replica",
    "dev",
    "c-1",
    {"database": "cmp_postgres"},
    actions=(Action("patch", Target("postgresql.cnpg.io/v1", "Cluster", "cmp-postgres", "cmp", "u-cluster"), "", {}, {}),),
    facts={"instance": B, "primary": A, "timeline": 4},
)


class Committing(Probe):
    """A probe to whom every look is another acknowledged commit."""

    def start(self) -> None:
        self.acknowledged = Growing()


class Growing(list[tuple[float, datetime]]):
    def __len__(self) -> int:
        self.append((1.0, NOW))
        return super().__len__()


@pytest.fixture
def wrote(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The bodies of the patches, in a promotion whose writes work and whose former primary follows."""
    bodies: list[dict[str, Any]] = []
    monkeypatch.setattr(execute, "Probe", Committing)
    monkeypatch.setattr(execute, "_followed", lambda *_: None)
    monkeypatch.setattr(execute.apply, "patch", lambda desk, action, journal, *, subresource, body: bodies.append(body(cluster())))
    monkeypatch.setattr(execute, "require_not_frozen", lambda *_: None)
    return bodies


def test_the_record_and_the_patch_are_of_one_moment(tmp_path: Path, wrote: list[dict[str, Any]]) -> None:
    """By which the watch knows the promotion again, whatever else becomes primary before and after."""
    done = cluster(status__currentPrimary=B, status__targetPrimary=B)
    at = desk(tmp_path, Switching(done))
    results = execute.execute(at, PLAN, Journal.open(at.records, "promote_replica", "run"))
    assert results["promoted_seconds"] is not None
    (body,) = wrote
    found = record.newest(at.records, DATABASE, "c-1")
    assert found is not None
    assert found.led_to(cluster(status__currentPrimary=B, **{f"status__{key}": value for key, value in body["status"].items()}))


def test_a_run_that_was_killed_after_it_asked_goes_on_waiting_and_measures_nothing(tmp_path: Path, wrote: list[dict[str, Any]]) -> None:
    at = desk(tmp_path, Switching(cluster(**ASKED), cluster(**ASKED, status__currentPrimary=B)))
    journal = Journal.open(at.records, "promote_replica", "run")
    journal.note(asked_at=NOW.isoformat())
    results = execute.execute(at, PLAN, journal)
    assert (results["promoted_seconds"], results["outage_seconds"], wrote) == (None, None, [])


@pytest.mark.parametrize("target", [A, "cmp-postgres-3", None])
def test_what_was_asked_for_and_undone_since_is_not_asked_for_a_second_time(
    tmp_path: Path, wrote: list[dict[str, Any]], target: str | None
) -> None:
    """Re-executed a day later the old look at the replica says nothing; nor after a failover that led back."""
    at = desk(tmp_path, Switching(cluster(status__targetPrimary=target)))
    journal = Journal.open(at.records, "promote_replica", "run")
    journal.note(asked_at=NOW.isoformat())
    with pytest.raises(OperationFailed, match=f"this run asked for {B} at .* It is not asked for again, since .* plan anew"):
        execute.execute(at, PLAN, journal)
    assert wrote == []


def test_a_freeze_between_the_look_and_the_patch_stops_it(
    tmp_path: Path, wrote: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def frozen(_: Desk, operation: str) -> None:
        raise Frozen(f"{operation} is frozen")

    monkeypatch.setattr(execute, "require_not_frozen", frozen)
    at = desk(tmp_path, Switching(cluster()))
    with pytest.raises(Frozen, match="promote_replica is frozen"):
        execute.execute(at, PLAN, Journal.open(at.records, "promote_replica", "run"))
    assert (wrote, record.newest(at.records, DATABASE, "c-1")) == ([], None)


@pytest.mark.parametrize("lost_answer", [True, False])
def test_a_patch_whose_answer_was_lost_is_known_again_and_one_that_was_refused_explains_nothing(
    tmp_path: Path, wrote: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, lost_answer: bool
) -> None:
    """The operator has changed the status since the first try, so the second one meets another version."""
    kube = Switching(cluster(status__currentPrimary=A, status__targetPrimary=A))
    at = desk(tmp_path, kube)
    earlier = record.Promotion(B, A, NOW, "an earlier run")
    record.write(at.records, DATABASE, "c-1", earlier)

    def refused(desk: Desk, action: Action, journal: Journal, *, subresource: str, body: Callable[[Object], Any]) -> None:
        asked = body(cluster())["status"] if lost_answer else {"targetPrimary": B, "targetPrimaryTimestamp": "2026-11-24T12:00:00.000001Z"}
        told = {f"status__{key}": value for key, value in asked.items()} | {"status__phase": "Waiting for the primary"}
        kube.states = [cluster(**told), cluster(**told, status__currentPrimary=B)]
        journal.outcome("patch", action.target, "failed", "it changed in the moment of the change")
        raise ClusterMovedOn("it changed in the moment of the change")

    monkeypatch.setattr(execute.apply, "patch", refused)
    journal = Journal.open(at.records, "promote_replica", "run")
    if lost_answer:
        assert execute.execute(at, PLAN, journal)["instance"] == B
        assert "Changed: patch Cluster cmp/cmp-postgres" in four_lines(PLAN, journal, OperationFailed(""), "")
        return
    with pytest.raises(ClusterMovedOn):
        execute.execute(at, PLAN, journal)
    assert record.newest(at.records, DATABASE, "c-1") == earlier
