"""What the contract suite runs against: a client of the real API server. Another implementation of Kube joins by a parameter here."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from gsv_ops.kube import objects, resources
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.paths import path
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call
from gsv_ops_tests.control_plane import binaries, control_plane


@dataclass(frozen=True)
class Cluster:
    """A control plane's two kubeconfigs."""

    admin: Path
    restricted: Path


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """A bare etcd and kube-apiserver for the whole run."""
    if binaries() is None:
        message = (
            "CONTRACT TESTS NOT RUN: no etcd and kube-apiserver; "
            "build them with `gsv-sandbox up`, or name their directory in GSV_SANDBOX_BIN"
        )
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with control_plane() as kubeconfig:
        yield Cluster(kubeconfig, kubeconfig.with_name("restricted.kubeconfig"))


@pytest.fixture(scope="session")
def admin(cluster: Cluster) -> KubeClient:
    """The administrator's client."""
    return connect(cluster.admin)


@pytest.fixture(scope="session", params=["api server"])
def kube(request: pytest.FixtureRequest) -> Kube:
    """An implementation of Kube, as an administrator."""
    client: Kube = request.getfixturevalue("admin")
    return client


@pytest.fixture(scope="session")
def create_as(admin: KubeClient) -> Callable[[str, Object], None]:
    """Creates an object as another field manager, which no Kube can do."""

    def create(manager: str, body: Object) -> None:
        resource, place = resources.of(body), objects.namespace(body)
        about = Request("create", resource, place, objects.name(body))
        admin._transport.json(Call(about, "POST", path(resource, place), {"fieldManager": manager}, body))

    return create


@pytest.fixture
def namespace(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace of the test's own. It is not emptied: nothing here runs the controller that would, and the cluster goes with the run."""
    name = f"t-{abs(hash(request.node.nodeid)) % 10**10}"
    try:
        kube.get(resources.NAMESPACE, name)
    except NotFound:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    yield name
    for body in kube.list(resources.CONFIG_MAP, name, metadata_only=True):
        if not objects.deleting(body):
            kube.delete(resources.CONFIG_MAP, objects.name(body), name, uid=objects.uid(body))
