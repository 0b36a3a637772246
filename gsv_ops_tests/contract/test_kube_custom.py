"""Custom resources, as the operators of the platform bring them: a status of their own, a generation, no patch strategies."""

import time

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import OBJECT_STORE
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call
from gsv_ops_tests.fake_kube import FakeKube

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": OBJECT_STORE.qualified},
    "spec": {
        "group": OBJECT_STORE.group,
        "scope": "Namespaced",
        "names": {"plural": OBJECT_STORE.plural, "singular": "objectstore", "kind": OBJECT_STORE.kind},
        "versions": [
            {
                "name": OBJECT_STORE.version,
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def definition(admin: KubeClient) -> None:
    """The kind is served. It stays, as the cluster goes with the run."""
    about = Request("create", None, None, OBJECT_STORE.qualified)
    admin._transport.json(Call(about, "POST", DEFINITIONS, {}, DEFINITION))
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            admin.list(OBJECT_STORE)
            return
        except errors.NotServed:
            time.sleep(0.2)
    pytest.fail(f"{OBJECT_STORE.qualified} is still not served after 30 s")


@pytest.fixture
def kube(request: pytest.FixtureRequest) -> Kube:
    if request.param == "fake":
        return FakeKube(custom=[OBJECT_STORE])
    request.getfixturevalue("definition")
    client: Kube = request.getfixturevalue("admin")
    return client


def store(namespace: str, **labels: str) -> Object:
    metadata = {"name": "s", "namespace": namespace, "labels": labels}
    spec = {"configuration": {"path": "s3://a", "list": [{"name": "a"}], "empty": {}}}
    return {"apiVersion": OBJECT_STORE.api_version, "kind": OBJECT_STORE.kind, "metadata": metadata, "spec": spec, "status": {"phase": "x"}}


def test_its_status_and_its_spec_are_written_apart(kube: Kube, namespace: str) -> None:
    made = kube.create(store(namespace))
    assert "status" not in made
    assert made["spec"] == store(namespace)["spec"]
    patch = {"metadata": {"labels": {"x": "1"}}, "spec": {"more": 1}, "status": {"phase": "ready"}}

    observed = kube.patch(OBJECT_STORE, "s", namespace, patch, subresource="status")
    assert (observed["spec"], observed["status"], objects.labels(observed)) == (made["spec"], {"phase": "ready"}, {})
    asked = kube.patch(OBJECT_STORE, "s", namespace, patch | {"status": {"phase": "lost"}})
    assert (asked["spec"], asked["status"]) == ({**made["spec"], "more": 1}, {"phase": "ready"})
    assert [objects.at(body, "metadata", "generation") for body in (made, observed, asked)] == [1, 1, 2]


def test_the_status_has_managers_of_its_own(kube: Kube, namespace: str) -> None:
    kube.create(store(namespace))
    observed = kube.patch(OBJECT_STORE, "s", namespace, {"status": {"phase": "ready"}}, subresource="status")
    entries = {entry.get("subresource", ""): set(entry["fieldsV1"]) for entry in observed["metadata"]["managedFields"]}
    assert entries == {"": {"f:spec"}, "status": {"f:status"}}


def test_an_apply_replaces_a_list_and_takes_away_what_it_no_longer_names(kube: Kube, namespace: str) -> None:
    kube.apply(store(namespace, x="1"))
    less = store(namespace)
    less["spec"] = {"configuration": {"path": "s3://b", "list": [{"name": "b"}, {"name": "c"}]}}
    applied = kube.apply(less)
    assert applied["spec"] == less["spec"]
    assert objects.labels(applied) == {}
    assert applied["metadata"]["generation"] == 2


def test_it_knows_no_strategic_patch_and_no_field_to_select_by(kube: Kube, namespace: str) -> None:
    kube.create(store(namespace))
    with pytest.raises(errors.Invalid):
        kube.patch(OBJECT_STORE, "s", namespace, {"spec": {"more": 1}}, kind="strategic")
    with pytest.raises(errors.Invalid):
        kube.list(OBJECT_STORE, namespace, fields="status.phase=x")
    assert [objects.name(body) for body in kube.list(OBJECT_STORE, namespace, fields="metadata.name=s")] == ["s"]
