"""The sweeper deletes what a proof made and left, and nothing else, whatever stands there."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from gsv_ops.database.proof import sweep
from gsv_ops.database.proof.sweep import Scratch, SweepScratchClusters, plan
from gsv_ops.kube.errors import NotFound, Unavailable
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan, Target
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import FRAME

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
API_VERSIONS = {"Cluster": "postgresql.cnpg.io/v1", "NetworkPolicy": "networking.k8s.io/v1"}


def scratch(kind: str, name: str, run: str | None, operation: str | None, expires: str | None) -> Object:
    labels = {"gsv-ops/run": run, "gsv-ops/operation": operation}
    return {
        "apiVersion": API_VERSIONS[kind],
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "cmp",
            "uid": f"u-{kind}-{name}",
            "resourceVersion": "7",
            "labels": {key: value for key, value in labels.items() if value is not None},
            "annotations": {} if expires is None else {"gsv-ops/expires": expires},
        },
    }


def planned(*found: Object, over: frozenset[str] = frozenset()) -> Plan:
    return plan(spec.load(None), Scratch(found, over), SweepScratchClusters(), FRAME, NOW)


PAST, FUTURE = (NOW - timedelta(seconds=1)).isoformat(), (NOW + timedelta(seconds=1)).isoformat()


@pytest.mark.parametrize(
    ("run", "operation", "expires", "over", "deleted", "reason"),
    [
        ("r-1", "prove_backup", FUTURE, True, True, "run r-1 that made it is over"),
        ("r-1", "prove_point_in_time", FUTURE, True, True, "run r-1 that made it is over"),
        ("r-1", "prove_backup", None, True, True, "run r-1 that made it is over"),
        ("r-1", "prove_backup", PAST, False, True, "it is past its time"),
        ("r-1", "prove_backup", NOW.isoformat(), False, True, "it is past its time"),
        (None, "prove_backup", PAST, False, True, "it is past its time"),
        ("r-1", "prove_backup", FUTURE, False, False, "its run may be going on; it expires at 2026-11-24 06:00 UTC"),
        ("r-1", "prove_backup", None, False, False, "it has no readable gsv-ops/expires, and its run is not known to be over"),
        ("r-1", "prove_backup", "soon", False, False, "it has no readable gsv-ops/expires"),
        ("r-1", "prove_backup", "2026-01-01T00:00:00", False, False, "it has no readable gsv-ops/expires"),
        ("r-1", "restore_database", PAST, True, False, "its label gsv-ops/operation names no proof"),
        ("r-1", None, PAST, True, False, "its label"),
    ],
)
def test_what_goes_and_what_stays(run: str, operation: str, expires: str, over: bool, deleted: bool, reason: str) -> None:
    made = planned(scratch("Cluster", "x", run, operation, expires), over=frozenset({"r-1"}) if over else frozenset())
    told = made.actions[0].reason if deleted else made.kept[0].reason
    assert (len(made.actions), len(made.kept)) == ((1, 0) if deleted else (0, 1))
    assert told.startswith(reason)


RUNS = st.sampled_from(["r-1", "r-2", "r-3"])
EXPIRIES = (
    st.none()
    | st.sampled_from(["", "soon", "2026-01-01T00:00:00"])
    | st.integers(-99, 99).map(lambda s: (NOW + timedelta(seconds=s)).isoformat())
)
OBJECTS = st.builds(
    scratch,
    st.sampled_from(["Cluster", "NetworkPolicy"]),
    st.sampled_from(["a", "b", "c"]),
    st.none() | RUNS,
    st.none() | st.sampled_from(["prove_backup", "prove_backups", "backup_database", ""]),
    EXPIRIES,
)


@settings(max_examples=200, deadline=None)
@given(st.lists(OBJECTS, max_size=6), st.frozensets(RUNS))
def test_nothing_goes_without_our_label_and_a_reason(found: list[Object], over: frozenset[str]) -> None:
    made = planned(*found, over=over)
    assert len(made.actions) + len(made.kept) == len(found) == made.seen
    assert made.refused == ()
    for action in made.actions:
        assert action.verb == "delete"
        assert action.target.uid
        # two of the drawn objects may bear one identity: it is enough that one of them gave the reason
        meant = [body["metadata"] for body in found if _same(body, action.target) and _labels(body) == action.guard]
        assert any(_may_go(metadata, over) for metadata in meant)


def _may_go(metadata: Object, over: frozenset[str]) -> bool:
    expires = metadata["annotations"].get("gsv-ops/expires", "")
    expired = expires.endswith("+00:00") and datetime.fromisoformat(expires) <= NOW
    return metadata["labels"].get("gsv-ops/operation") == "prove_backup" and (expired or metadata["labels"].get("gsv-ops/run") in over)


def _same(body: Object, target: Target) -> bool:
    return (body["kind"], body["metadata"]["name"], body["metadata"]["uid"]) == (target.kind, target.name, target.uid)


def _labels(body: Object) -> dict[str, str | None]:
    return {f"metadata.labels.{key}": body["metadata"]["labels"].get(key) for key in ("gsv-ops/operation", "gsv-ops/run")}


class Cmp:
    """A Kube over a few objects of namespace cmp; deletions are noted in order, volumes stay as long as a test says."""

    def __init__(self, *found: Object) -> None:
        self.found = {(body["kind"], body["metadata"]["name"]): body for body in found}
        self.deleted: list[str] = []
        self.volumes: dict[str, int] = {}
        self.broken: set[str] = set()

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if (resource.kind, name) not in self.found:
            raise NotFound(f"{resource.qualified} {name} not found")
        return self.found[resource.kind, name]

    def delete(self, resource: Resource, name: str, namespace: str | None = None, **conditions: Any) -> None:
        if name in self.broken:
            raise Unavailable("the API server did not answer")
        assert conditions["uid"] == self.found[resource.kind, name]["metadata"]["uid"]
        del self.found[resource.kind, name]
        self.deleted.append(f"{resource.kind} {name}")

    def wait(self, resource: Resource, name: str, namespace: str | None, until: Any, **_: Any) -> Any:
        return until(None)

    def list(self, resource: Resource, namespace: str | None = None, *, labels: str = "", **_: Any) -> list[Object]:
        assert resource.kind == "PersistentVolumeClaim"
        name = labels.removeprefix("cnpg.io/cluster=")
        self.volumes[name] = self.volumes.get(name, 0) - 1
        return [{"metadata": {"name": f"{name}-1"}}] if self.volumes[name] >= 0 else []


class Clock:
    seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(UPath(tmp_path))


def desk(kube: Cmp, records: Records, over: frozenset[str] = frozenset()) -> Desk:
    clock = Clock()
    return Desk(
        cast(Kube, kube),
        spec.load(None),
        "dev",
        "c-1",
        records,
        "the-sweep",
        lambda _: None,
        is_over=over.__contains__,
        monotonic=lambda: clock.seconds,
        sleep=clock.sleep,
    )


def both(name: str, run: str) -> tuple[Object, Object]:
    return scratch("Cluster", name, run, "prove_backup", PAST), scratch("NetworkPolicy", name, run, "prove_backup", PAST)


def swept(kube: Cmp, records: Records, over: frozenset[str] = frozenset()) -> Any:
    at = desk(kube, records, over)
    # as observe lists them: every Cluster, then every NetworkPolicy
    bodies = sorted(kube.found.values(), key=lambda body: str(body["kind"]))
    return sweep.execute(
        at, plan(at.spec, Scratch(tuple(bodies), over), SweepScratchClusters(), FRAME, NOW), Journal.open(records, "sweep", "s")
    )


def test_the_network_policy_goes_after_the_pods_are_gone(records: Records) -> None:
    kube = Cmp(*both("a", "r-1"))
    kube.volumes["a"] = 3
    swept(kube, records)
    assert kube.deleted == ["Cluster a", "NetworkPolicy a"]
    assert kube.volumes["a"] < 0


def test_one_stuck_cluster_keeps_its_policy_and_holds_up_no_other(records: Records) -> None:
    kube = Cmp(*both("stuck", "r-1"), *both("fine", "r-2"))
    kube.volumes["stuck"] = 10**6
    with pytest.raises(OperationFailed, match=r"still there 120 s after Cluster cmp/stuck was deleted: PersistentVolumeClaim cmp/stuck-1"):
        swept(kube, records)
    assert "NetworkPolicy stuck" not in kube.deleted
    assert {"Cluster fine", "NetworkPolicy fine"} <= set(kube.deleted)


def test_one_broken_deletion_holds_up_no_other(records: Records) -> None:
    kube = Cmp(*both("broken", "r-1"), *both("fine", "r-2"))
    kube.broken.add("broken")
    with pytest.raises(OperationFailed, match="the API server did not answer"):
        swept(kube, records)
    assert kube.deleted == ["Cluster fine", "NetworkPolicy fine"]


def test_journals_of_ended_runs_are_released_and_of_others_not(records: Records) -> None:
    kube = Cmp(*both("a", "r-over"), *both("b", "r-going"))
    for run, name in (("r-over", "a"), ("r-going", "b")):
        journal = Journal.open(records, "prove_backup", run)
        for kind in ("NetworkPolicy", "Cluster"):
            journal.made(Target(API_VERSIONS[kind], kind, name, "cmp"), f"u-{kind}-{name}")
    Journal.open(records, "prove_backup", "r-empty").note(results={})
    at = desk(kube, records, frozenset({"r-over", "r-empty"}))
    assert sweep.execute(at, planned(), Journal.open(records, "sweep", "s")) == {"released": ["r-over"]}
    assert kube.deleted == ["Cluster a", "NetworkPolicy a"]
    assert [journal.root_run_id for journal in Journal.unreleased(records, "prove_backup")] == ["r-going"]


def test_what_was_replaced_under_its_name_stays(records: Records) -> None:
    ours, _ = both("a", "r-1")
    made = planned(ours)
    kube = Cmp({**ours, "metadata": {**ours["metadata"], "uid": "u-somebody", "labels": {}}})
    with pytest.raises(OperationFailed, match="uid was u-Cluster-a, is u-somebody"):
        sweep.execute(desk(kube, records), made, Journal.open(records, "sweep", "s"))
    assert kube.deleted == []


def test_it_is_so_when_nothing_of_the_plan_is_left(records: Records) -> None:
    ours, policy = both("a", "r-1")
    made = planned(ours, policy)
    going = {**ours, "metadata": {**ours["metadata"], "deletionTimestamp": "2026-11-24T06:00:00Z"}}
    other = {**policy, "metadata": {**policy["metadata"], "uid": "u-other"}}
    verdict = sweep.verify(desk(Cmp(going, other), records), made, {})
    assert (verdict.status, verdict.facts["removed"]) == ("good", 2)
    with pytest.raises(OperationFailed, match="still there: Cluster cmp/a"):
        sweep.verify(desk(Cmp(ours), records), made, {})
    assert sweep.verify(desk(Cmp(), records), replace(made, actions=()), {}).status == "good"
