"""What the contract suite runs against: every implementation of Kube there is, the client of the real API server and the fake.

A test that asks for `kube` runs on each of them; one that is marked control_plane is about the real one alone (its transport, its rights).
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gsv_ops.kube import objects, resources
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.paths import path
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call
from gsv_ops_tests.control_plane import RESTRICTED_USER, binaries, control_plane
from gsv_ops_tests.fake_kube import FakeKube


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


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Both implementations for every test that does not say it is about the real one."""
    if "kube" in metafunc.fixturenames:
        real_only = metafunc.definition.get_closest_marker("control_plane") is not None
        real = pytest.param("real", marks=pytest.mark.control_plane)
        metafunc.parametrize("kube", [real] if real_only else ["fake", real], indirect=True)


class Clock:
    """Time as a test and its cluster see it. With the fake it passes at once."""

    def __init__(self) -> None:
        self.jumps = False
        self._ahead = timedelta(0)

    def now(self, off: timedelta = timedelta(0)) -> datetime:
        """The time on a clock that is so far off."""
        return datetime.now(UTC) + self._ahead + off

    def sleep(self, seconds: float) -> None:
        if self.jumps:
            self._ahead += timedelta(seconds=seconds)
        else:
            time.sleep(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def kube(request: pytest.FixtureRequest, clock: Clock) -> Kube:
    """An implementation of Kube, as an administrator."""
    if request.param == "fake":
        clock.jumps = True
        return FakeKube(now=clock.now)
    client: Kube = request.getfixturevalue("admin")
    return client


@pytest.fixture
def restricted(kube: Kube, request: pytest.FixtureRequest) -> Kube:
    """The same cluster as a user named `restricted`, who may do nothing."""
    if not isinstance(kube, FakeKube):
        return connect(request.getfixturevalue("cluster").restricted)
    other = kube.beside(user=RESTRICTED_USER)
    other.forbid()
    return other


@pytest.fixture
def create_as(kube: Kube) -> Callable[[str, Object], None]:
    """Creates an object as another field manager, which no Kube can do."""

    def create(manager: str, body: Object) -> None:
        if isinstance(kube, FakeKube):
            kube.beside(manager=manager).create(body)
            return
        assert isinstance(kube, KubeClient)
        resource, place = resources.of(body), objects.namespace(body)
        about = Request("create", resource, place, objects.name(body))
        kube._transport.json(Call(about, "POST", path(resource, place), {"fieldManager": manager}, body))

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


@pytest.fixture
def later() -> Iterator[Callable[..., None]]:
    """Calls a function in so many seconds, beside the test."""
    timers: list[threading.Timer] = []

    def schedule(seconds: float, do: Callable[[], Any]) -> None:
        timers.append(threading.Timer(seconds, do))
        timers[-1].start()

    yield schedule
    for timer in timers:
        timer.join()
