"""What goes with an object that is deleted, where a controller manager runs: Kubernetes' own, or the fake that collects."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, NAMESPACE, PERSISTENT_VOLUME_CLAIM, POD
from gsv_ops_tests.contract.bodies import config_map, pod
from gsv_ops_tests.contract.conftest import Cluster
from gsv_ops_tests.control_plane import _running, binaries
from gsv_ops_tests.fake_kube import FakeKube

HOLD = "example.com/hold"
CONTROLLERS = ("garbage-collector-controller", "namespace-controller", "persistentvolumeclaim-protection-controller")


@pytest.fixture(scope="module")
def controllers(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The controllers that take away, while these tests run; without them everything of the kind stays."""
    directory = binaries() or Path()
    program = directory / "kube-controller-manager"
    if not program.exists():
        pytest.fail(f"no kube-controller-manager beside kube-apiserver in {directory}; build it with `gsv-sandbox up`")
    command = [str(program), f"--kubeconfig={cluster.admin}", f"--controllers={','.join(CONTROLLERS)}"]
    with _running([*command, "--leader-elect=false", "--secure-port=0"], tmp_path_factory.mktemp("controllers") / "log"):
        yield


@pytest.fixture
def kube(request: pytest.FixtureRequest) -> Kube:
    if request.param == "fake":
        return FakeKube(collects=True)
    request.getfixturevalue("controllers")
    client: Kube = request.getfixturevalue("admin")
    return client


def owned(namespace: str, name: str, *owners: Object, blocks: bool = False, finalizers: tuple[str, ...] = ()) -> Object:
    body = config_map(namespace, name)
    references = [
        {"apiVersion": "v1", "kind": "ConfigMap", "name": objects.name(owner), "uid": objects.uid(owner), "blockOwnerDeletion": blocks}
        for owner in owners
    ]
    body["metadata"] |= {"ownerReferences": references, "finalizers": list(finalizers)}
    return body


def goes(kube: Kube, name: str, namespace: str) -> None:
    kube.wait(CONFIG_MAP, name, namespace, lambda body: True if body is None else None, timeout=60, what=f"the end of {name}")


def becomes(kube: Kube, name: str, namespace: str, so: str) -> Object:
    """The object once it is being deleted, or has no owner."""

    def until(body: Object | None) -> Object | None:
        assert body is not None, f"{name} is gone"
        return body if {"deleting": objects.deleting(body), "alone": not objects.owners(body)}[so] else None

    return kube.wait(CONFIG_MAP, name, namespace, until, timeout=60, what=f"{name} to be {so}")


def test_in_the_background_dependents_follow_their_owner(kube: Kube, namespace: str) -> None:
    owner = kube.create(config_map(namespace, "owner"))
    child = kube.create(owned(namespace, "child", owner))
    kube.create(owned(namespace, "grandchild", child))
    kube.create(config_map(namespace, "other"))

    kube.delete(CONFIG_MAP, "owner", namespace, uid=objects.uid(owner))

    with pytest.raises(errors.NotFound):
        kube.get(CONFIG_MAP, "owner", namespace)
    goes(kube, "child", namespace)
    goes(kube, "grandchild", namespace)
    assert [objects.name(body) for body in kube.list(CONFIG_MAP, namespace)] == ["other"]


def test_in_the_foreground_an_owner_waits_for_those_that_hold_it(kube: Kube, namespace: str) -> None:
    owner = kube.create(config_map(namespace, "owner"))
    kube.create(owned(namespace, "holding", owner, blocks=True, finalizers=(HOLD,)))
    kube.create(owned(namespace, "free", owner, finalizers=(HOLD,)))

    kube.delete(CONFIG_MAP, "owner", namespace, uid=objects.uid(owner), propagation="Foreground")

    becomes(kube, "holding", namespace, "deleting")
    becomes(kube, "free", namespace, "deleting")
    assert kube.get(CONFIG_MAP, "owner", namespace)["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.patch(CONFIG_MAP, "holding", namespace, {"metadata": {"finalizers": None}})
    goes(kube, "owner", namespace)
    assert objects.deleting(kube.get(CONFIG_MAP, "free", namespace))
    kube.patch(CONFIG_MAP, "free", namespace, {"metadata": {"finalizers": None}})


def test_orphans_stay_and_lose_their_owner(kube: Kube, namespace: str) -> None:
    owner = kube.create(config_map(namespace, "owner"))
    child = kube.create(owned(namespace, "child", owner))

    kube.delete(CONFIG_MAP, "owner", namespace, uid=objects.uid(owner), propagation="Orphan")

    goes(kube, "owner", namespace)
    left = becomes(kube, "child", namespace, "alone")
    assert objects.uid(left) == objects.uid(child)


def test_who_has_another_owner_stays(kube: Kube, namespace: str) -> None:
    one, two = kube.create(config_map(namespace, "one")), kube.create(config_map(namespace, "two"))
    kube.create(owned(namespace, "child", one, two))
    kube.create(owned(namespace, "last", one))

    kube.delete(CONFIG_MAP, "one", namespace, uid=objects.uid(one))

    goes(kube, "last", namespace)
    left = kube.wait(
        CONFIG_MAP, "child", namespace, lambda body: body if len(objects.owners(body or {})) == 1 else None, timeout=60, what="one owner"
    )
    assert [owner.name for owner in objects.owners(left)] == ["two"]


def test_a_namespace_goes_with_all_that_is_in_it(kube: Kube, namespace: str) -> None:
    name = f"{namespace}-ending"
    made = kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    body = config_map(name, "held")
    body["metadata"]["finalizers"] = [HOLD]
    kube.create(body)

    kube.delete(NAMESPACE, name, uid=objects.uid(made))

    becomes(kube, "held", name, "deleting")
    assert objects.deleting(kube.get(NAMESPACE, name))
    kube.patch(CONFIG_MAP, "held", name, {"metadata": {"finalizers": None}})
    assert kube.wait(NAMESPACE, name, None, lambda body: True if body is None else None, timeout=90, what="its end")
    assert kube.list(CONFIG_MAP, name) == []


def test_a_claim_goes_when_no_pod_on_a_node_uses_it(kube: Kube, namespace: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    for name in ("used", "free"):
        metadata = {"name": name, "namespace": namespace}
        kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    user = kube.create(pod(namespace, "p", nodeName="n", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "used"}}]))
    kube.create(pod(namespace, "q", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "free"}}]))

    def ends(name: str) -> None:
        kube.wait(PERSISTENT_VOLUME_CLAIM, name, namespace, lambda body: True if body is None else None, timeout=60, what="its end")

    for claim in kube.list(PERSISTENT_VOLUME_CLAIM, namespace):
        kube.delete(PERSISTENT_VOLUME_CLAIM, objects.name(claim), namespace, uid=objects.uid(claim))

    ends("free")
    assert objects.deleting(kube.get(PERSISTENT_VOLUME_CLAIM, "used", namespace))
    kube.patch(POD, "p", namespace, {"status": {"phase": "Succeeded"}}, subresource="status")
    kube.delete(POD, "p", namespace, uid=objects.uid(user))
    ends("used")
