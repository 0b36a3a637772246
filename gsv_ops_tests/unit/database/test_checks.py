"""The checks where nothing can be read, or only another cluster: red with the reason, and never missing."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.database import definitions as room
from gsv_ops.database import observe
from gsv_ops.database.conditions import Unseen
from gsv_ops.kube.errors import Unavailable
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import Records
from gsv_ops.operations.store import PlanStore
from gsv_ops.platform import spec
from gsv_ops.platform.spec import Database
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster

EVERY = {
    "newest_backup_is_recent",
    "wal_is_archived",
    "heartbeat_is_written",
    "recovery_point_is_recent",
    "newest_proof_is_recent",
    "restored_rows_are_equal",
    "no_scratch_cluster_is_left",
    "every_replica_streams",
    "no_replica_is_behind",
    "no_slot_keeps_too_much_wal",
    "connections_are_left",
    "no_transaction_is_old",
    "no_wraparound_is_near",
    "no_table_is_bloated",
    "cluster_is_up",
    "primary_did_not_move_by_itself",
    "no_backup_failed_or_is_stuck",
    "scheduled_backups_are_taken",
}


def evaluated(desk: DeskFactory, tmp_path: Path) -> dict[str, dg.AssetCheckEvaluation]:
    """What a run of check_database says of each check."""
    definitions = dg.Definitions.merge(room.definitions(), dg.Definitions(resources={"desk": desk, "plan_store": PlanStore(desk)}))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = definitions.resolve_job_def("check_database").execute_in_process(instance=instance, raise_on_error=False)
        assert result.success
        return {check.check_name: check for check in result.get_asset_check_evaluations()}


class KubeSystem:
    """A cluster of which only the identity can be read; none (None) where the API server does not answer."""

    def __init__(self, identity: str | None) -> None:
        self.identity = identity

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if self.identity is None:
            raise Unavailable("the API server does not answer")
        assert (resource.kind, name) == ("Namespace", "kube-system"), "another cluster was asked for more than its identity"
        return {"metadata": {"uid": self.identity}}


@pytest.mark.parametrize(("identity", "told"), [(None, "the API server does not answer"), ("another", "this is not the cluster of")])
def test_every_check_is_red_when_its_cluster_cannot_be_asked(
    identity: str | None, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
    kube: Any = KubeSystem(identity)
    found = evaluated(DeskFactory(kube, UPath(tmp_path)), tmp_path)
    assert set(found) == EVERY
    for check in found.values():
        assert not check.passed
        assert told in str(check.description)


class NothingThere:
    """The environment's cluster, where nothing else answers as it should."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return {"metadata": {"name": name, "uid": "the-one"}}

    def list(self, *_: object, **__: object) -> list[Object]:
        return []


def test_checks_whose_looks_break_are_red_and_fail_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They run with the backup and the proof: a backup is not failed by a check of something else."""
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
    monkeypatch.setattr(observe, "archive", lambda *_: 1 / 0)
    kube: Any = NothingThere()
    found = evaluated(DeskFactory(kube, UPath(tmp_path)), tmp_path)
    assert set(found) == EVERY
    assert found["wal_is_archived"].description == "unknown: unexpected ZeroDivisionError: division by zero"
    assert found["no_scratch_cluster_is_left"].passed, "what could be looked at is judged"


class HalfAStore:
    """A cluster whose ObjectStore names only one of its two keys."""

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if resource.kind == "Cluster":
            return cluster()
        if resource.kind == "Secret":
            return {"metadata": {"name": name}, "data": {"key": "eA=="}}
        credentials = {"accessKeyId": {"name": "store", "key": "key"}}
        return {"spec": {"configuration": {"destinationPath": "s3://bucket/", "s3Credentials": credentials}}}


def test_what_breaks_one_look_is_unknown_and_not_the_end_of_the_others(tmp_path: Path) -> None:
    kube: Any = HalfAStore()
    desk = Desk(kube, spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)
    assert observe.base_backups(desk, DATABASE) == Unseen("unexpected KeyError: 'secretAccessKey'")


def test_every_check_is_judged_where_the_cluster_can_be_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has a result of its own look, also those that share one."""
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-one")
    asked: list[str] = []

    def heartbeats(desk: Desk, database: Database) -> Unseen:
        asked.append(database.cluster)
        return Unseen("it has none")

    monkeypatch.setattr(observe, "heartbeats", heartbeats)
    kube: Any = NothingThere()
    found = evaluated(DeskFactory(kube, UPath(tmp_path)), tmp_path)
    assert set(found) == EVERY
    assert found["heartbeat_is_written"].description == found["recovery_point_is_recent"].description == "unknown: it has none"
    assert asked == ["cmp-postgres"]
