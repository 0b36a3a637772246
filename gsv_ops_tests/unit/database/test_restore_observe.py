"""What a restore's plan is made from, read from an API server: the source or what is remembered, what is in the way, what is missing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from gsv_ops.database import recoverability, remembered
from gsv_ops.database.restore import plan as planning
from gsv_ops.database.restore.observe import RestoreSnapshot
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.kube import resources
from gsv_ops.kube.errors import Forbidden, NotFound
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import OBJECT_STORE, POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import Plan
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.database import a_cluster
from gsv_ops_tests.unit.database.a_cluster import DATABASE
from gsv_ops_tests.unit.database.test_window import NOW, SIMPLE

NEW = "cmp-postgres-restored"


@pytest.fixture
def kube(monkeypatch: pytest.MonkeyPatch) -> FakeKube:
    """A namespace with cmp-postgres in it, its store and the Secrets that it names."""
    monkeypatch.setattr(recoverability, "look", lambda *_: SIMPLE)
    kube = FakeKube(custom=(POSTGRES_CLUSTER, POSTGRES_BACKUP, OBJECT_STORE))
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    for body in (a_cluster.CLUSTER, a_cluster.OBJECT_STORE):
        kube.create({**body, "metadata": {"name": body["metadata"]["name"], "namespace": "cmp"}})
    for name in ("cmp-postgres-gsv-ops", "cmp-postgres-superuser", "s3-creds"):
        kube.create(named("v1", "Secret", name))
    kube.create({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local-path"}, "provisioner": "p"})
    return kube


def named(api: str, kind: str, name: str, **more: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": "cmp", **more.pop("metadata", {})}, **more}


def desk(tmp_path: Path, kube: FakeKube) -> Desk:
    return Desk(kube, spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None, now=lambda: NOW)


def observed(tmp_path: Path, kube: FakeKube, **params: Any) -> RestoreSnapshot:
    return planning.observe(desk(tmp_path, kube), RestoreDatabase(**params))


def planned(tmp_path: Path, kube: FakeKube, **params: Any) -> Plan:
    chosen = RestoreDatabase(**params)
    frame = PlanFrame("restore_database", "dev", "c-1", chosen.model_dump(mode="json"))
    return planning.plan(spec.load(None), observed(tmp_path, kube, **params), chosen, frame, NOW)


def reasons(made: Plan) -> str:
    return " | ".join(refusal.reason for refusal in made.refused)


def test_it_can_be_made_and_the_dry_run_has_made_nothing(tmp_path: Path, kube: FakeKube) -> None:
    made = planned(tmp_path, kube)
    assert reasons(made) == ""
    assert [str(action.target) for action in made.actions] == [f"Cluster cmp/{NEW}", f"Backup cmp/{NEW}-{{run}}"]
    assert [body["metadata"]["name"] for body in kube.list(POSTGRES_CLUSTER, "cmp")] == ["cmp-postgres"]


def test_secrets_that_the_manifest_or_the_store_names_must_be_there(tmp_path: Path, kube: FakeKube) -> None:
    for name in ("cmp-postgres-superuser", "s3-creds"):
        kube.delete(resources.SECRET, name, "cmp", uid=kube.get(resources.SECRET, name, "cmp")["metadata"]["uid"])
    assert observed(tmp_path, kube).missing_secrets == ("cmp-postgres-superuser", "s3-creds")


def test_whatever_stands_under_the_name_is_in_the_way(tmp_path: Path, kube: FakeKube) -> None:
    """A volume of an earlier cluster of that name too: the operator would take it for the new one's."""
    kube.create({**a_cluster.CLUSTER, "metadata": {"name": NEW, "namespace": "cmp"}})
    size = {"resources": {"requests": {"storage": "1Gi"}}, "accessModes": ["ReadWriteOnce"]}
    kube.create(named("v1", "PersistentVolumeClaim", f"{NEW}-1", metadata={"labels": {"cnpg.io/cluster": NEW}}, spec=size))
    told = reasons(planned(tmp_path, kube))
    assert f"Cluster cmp/{NEW} exists; expected the name to be free" in told
    assert f"PersistentVolumeClaim cmp/{NEW}-1 of a Cluster of that name exists" in told
    assert reasons(planned(tmp_path, kube, name="another")) == ""


def test_what_the_api_server_says_of_the_manifest_is_in_the_plan(tmp_path: Path, kube: FakeKube) -> None:
    assert "the API server refuses the manifest: " in reasons(planned(tmp_path, kube, name="Not_A_Name"))


def test_a_source_that_is_gone_is_planned_from_what_was_remembered(tmp_path: Path, kube: FakeKube) -> None:
    at = desk(tmp_path, kube)
    source = kube.get(POSTGRES_CLUSTER, "cmp-postgres", "cmp")
    remembered.keep(at, DATABASE, source)
    before = planned(tmp_path, kube)
    kube.delete(POSTGRES_CLUSTER, "cmp-postgres", "cmp", uid=source["metadata"]["uid"])
    made = planned(tmp_path, kube)
    assert reasons(made) == ""
    assert made.actions == before.actions
    assert (made.facts["cluster uid"], "the source is gone" in made.shown) == ("gone", True)
    assert reasons(planned(tmp_path, kube, name="cmp-postgres")) == "", "its own name is free again"


def test_a_source_without_an_archive_cannot_be_restored(tmp_path: Path, kube: FakeKube) -> None:
    kube.patch(POSTGRES_CLUSTER, "cmp-postgres", "cmp", {"spec": {"plugins": None}})
    assert "its backups are made by none: expected the Barman Cloud plugin" in reasons(planned(tmp_path, kube))


def test_a_namespace_that_is_not_there_and_a_right_that_is_lacking_are_told(tmp_path: Path, kube: FakeKube) -> None:
    there = spec.load(None)
    elsewhere = there.model_copy(update={"databases": {"cmp_postgres": DATABASE.model_copy(update={"namespace": "cpm"})}})
    with pytest.raises(NotFound, match="did you mean cmp"):
        planning.observe(replace(desk(tmp_path, kube), spec=elsewhere), RestoreDatabase())
    kube.forbid()
    with pytest.raises(Forbidden):
        observed(tmp_path, kube)
