"""What is found of a workload: its own pods, who tracks it, and what there is instead of a name that is wrong."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import APPLICATION, POSTGRES_CLUSTER
from gsv_ops.maintenance.workload import OfWorkload, observe, tracking_of
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.maintenance.bodies import application, pod, workload

TRACKED = {"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:cmp/web"}}


def desk(kube: FakeKube, root: Path) -> Desk:
    return Desk(
        kube, spec.load(), "dev", "c-1", Records(UPath(root)), "r-1", lambda _: None, now=lambda: datetime(2026, 11, 24, tzinfo=UTC)
    )


def cluster(*bodies: Object, custom: Any = (), user: str = "ada") -> FakeKube:
    kube = FakeKube(custom=custom, user=user)
    for name in ("cmp", "argocd"):
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for body in bodies:
        kube.put(body)
    return kube


def owned(name: str, kind: str, of: str, **labels: str) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": of, "uid": f"u-{of}", "controller": True}
    return pod(name, labels={"app": "web", **labels}, ownerReferences=[reference])


def replica_set(name: str, of: str) -> Object:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": of, "uid": f"u-{of}", "controller": True}
    metadata = {"name": name, "namespace": "cmp", "uid": f"u-{name}", "labels": {"app": "web"}, "ownerReferences": [reference]}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": {"replicas": 1}}


def test_only_its_own_pods_are_its_pods(tmp_path: Path) -> None:
    """Another Deployment's pods may have the same labels."""
    bodies = [replica_set("web-1", "web"), replica_set("twin-1", "twin"), owned("mine", "ReplicaSet", "web-1")]
    kube = cluster(workload(), *bodies, owned("other", "ReplicaSet", "twin-1"), pod("stray", labels={"app": "web"}))
    found = observe(desk(kube, tmp_path), OfWorkload(namespace="cmp", name="web"))
    assert [body["metadata"]["name"] for body in found.pods] == ["mine"]
    assert len(found.everywhere) == 3


def test_the_application_that_tracks_it_is_read(tmp_path: Path) -> None:
    app = application()
    app["metadata"]["namespace"] = "argocd"
    kube = cluster(app, custom=[APPLICATION])
    found = tracking_of(desk(kube, tmp_path), workload(**TRACKED))
    assert found.application is not None
    assert found.application["metadata"]["name"] == "web"
    assert tracking_of(desk(kube, tmp_path), workload()).application is None


def test_an_application_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    kube = cluster(custom=[APPLICATION])
    kube.forbid("list", APPLICATION)
    assert "may not list applications" in tracking_of(desk(kube, tmp_path), workload(**TRACKED)).unread
    assert tracking_of(desk(cluster(), tmp_path), workload(**TRACKED)).unread == ""


@pytest.mark.parametrize("name", ["cmp-postgres", "cmp-postgres-1"])
def test_a_database_is_restarted_by_its_operator_and_the_way_is_told(tmp_path: Path, name: str) -> None:
    body = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Cluster",
        "metadata": {"name": "cmp-postgres", "namespace": "cmp", "uid": "u-c"},
    }
    kube = cluster(body, custom=[POSTGRES_CLUSTER])
    with pytest.raises(OperationFailed, match="cmp-postgres is a CloudNativePG Cluster") as problem:
        observe(desk(kube, tmp_path), OfWorkload(namespace="cmp", name=name))
    assert "kubectl annotate clusters.postgresql.cnpg.io cmp-postgres -n cmp --overwrite" in str(problem.value)
    assert "kubectl.kubernetes.io/restartedAt" in str(problem.value)
