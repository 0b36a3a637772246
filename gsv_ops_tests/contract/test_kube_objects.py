"""What the API server makes of an object in its life: versions, generations, status, finalizers, managers, and its end."""

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, NAMESPACE, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POD
from gsv_ops_tests.contract.bodies import config_map, pod, secret

HOLD = "example.com/hold"


def policy(namespace: str, name: str, *finalizers: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "finalizers": list(finalizers)}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def generation(body: Object) -> object:
    return objects.at(body, "metadata", "generation")


def test_a_change_moves_the_version_and_a_change_of_the_spec_the_generation_too(kube: Kube, namespace: str) -> None:
    made = kube.create(policy(namespace, "a"))
    labelled = kube.patch(NETWORK_POLICY, "a", namespace, {"metadata": {"labels": {"x": "1"}}})
    changed = kube.patch(NETWORK_POLICY, "a", namespace, {"spec": {"podSelector": {"matchLabels": {"x": "1"}}}})

    assert [generation(body) for body in (made, labelled, changed)] == [1, 1, 2]
    assert len({objects.resource_version(body) for body in (made, labelled, changed)}) == 3
    assert {(objects.uid(body), objects.created(body)) for body in (made, labelled, changed)} == {
        (objects.uid(made), objects.created(made))
    }
    assert generation(kube.create(config_map(namespace, "a"))) is None


def test_a_write_that_changes_nothing_is_no_change(kube: Kube, namespace: str) -> None:
    applied = kube.apply(config_map(namespace, "a", x="1"))
    assert kube.apply(config_map(namespace, "a", x="1")) == applied
    assert kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "1"}}) == applied


def test_what_comes_in_and_goes_out_is_nobody_elses(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "a", x="1")
    made = kube.create(body)
    assert body == config_map(namespace, "a", x="1")
    body["data"]["x"] = made["data"]["x"] = kube.get(CONFIG_MAP, "a", namespace)["data"]["x"] = "2"
    kube.list(CONFIG_MAP, namespace)[0]["data"]["x"] = "2"
    kube.wait(CONFIG_MAP, "a", namespace, lambda seen: seen, timeout=5, what="a")["data"]["x"] = "2"
    assert kube.get(CONFIG_MAP, "a", namespace)["data"] == {"x": "1"}


def test_what_the_server_decides_is_not_taken_from_a_body(kube: Kube, namespace: str) -> None:
    body = pod(namespace, "p")
    body["metadata"] |= {"uid": "11111111-1111-4111-8111-111111111111", "creationTimestamp": "2020-01-01T00:00:00Z", "labels": None}
    made = kube.create(body)
    assert objects.uid(made) != body["metadata"]["uid"]
    assert objects.created(made).year > 2020
    assert made["status"]["phase"] == "Pending"
    assert "labels" not in made["metadata"]

    patched = kube.patch(POD, "p", namespace, {"metadata": {"creationTimestamp": "2020-01-01T00:00:00Z"}, "status": {"phase": "Failed"}})
    assert (patched["status"]["phase"], objects.created(patched)) == ("Pending", objects.created(made))


def test_a_body_that_bears_the_version_of_another_is_not_created(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "a")
    body["metadata"]["resourceVersion"] = "5"
    with pytest.raises(errors.Unavailable, match="resourceVersion should not be set on objects to be created"):
        kube.create(body)


def test_an_apply_to_an_identity_that_is_gone_is_a_conflict(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "a")
    body["metadata"]["uid"] = "11111111-1111-4111-8111-111111111111"
    with pytest.raises(errors.Conflict, match="uid mismatch"):
        kube.apply(body)


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"name": "b"}, r"the name of the object \(b\) does not match"),
        ({"namespace": "default"}, "the namespace of the provided object does not"),
    ],
)
def test_an_object_keeps_its_name_and_its_place(kube: Kube, namespace: str, patch: Object, told: str) -> None:
    kube.create(config_map(namespace, "a"))
    with pytest.raises(errors.Invalid, match=told):
        kube.patch(CONFIG_MAP, "a", namespace, {"metadata": patch})


def test_names_and_values_are_checked(kube: Kube, namespace: str) -> None:
    with pytest.raises(errors.Invalid, match=r"\(422\): metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain"):
        kube.create(config_map(namespace, "Bad_Name"))
    with pytest.raises(
        errors.Invalid, match=r"\(400\): ConfigMap in version \"v1\" cannot be handled as a ConfigMap: json: cannot unmarshal number"
    ):
        kube.create(config_map(namespace, "a") | {"data": {"x": 1}})
    with pytest.raises(errors.Invalid, match=r"\(400\): BadRequest; the server's words are withheld"):
        kube.create(secret(namespace, "a") | {"data": {"x": "%"}})
    assert "sprocket" not in kube.create(config_map(namespace, "a") | {"sprocket": 1})
    assert kube.create(secret(namespace, "a", x="y")).get("type") == "Opaque"


def test_a_kind_without_a_status_serves_none(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a"))
    with pytest.raises(errors.NotServed):
        kube.patch(CONFIG_MAP, "a", namespace, {"status": {}}, subresource="status")


def test_a_finalizer_holds_what_is_deleted_until_it_is_taken_away(kube: Kube, namespace: str) -> None:
    made = kube.create(policy(namespace, "a", HOLD))
    kube.delete(NETWORK_POLICY, "a", namespace, uid=objects.uid(made))
    going = kube.get(NETWORK_POLICY, "a", namespace)
    assert objects.deleting(going)
    assert going["metadata"]["deletionGracePeriodSeconds"] == 0
    assert generation(going) == 2  # a deletion counts as a change of what is asked for

    kube.delete(NETWORK_POLICY, "a", namespace, uid=objects.uid(made))
    assert kube.get(NETWORK_POLICY, "a", namespace) == going
    with pytest.raises(errors.Invalid, match="no new finalizers can be added if the object is being deleted"):
        kube.patch(NETWORK_POLICY, "a", namespace, {"metadata": {"finalizers": [HOLD, "example.com/more"]}})
    with pytest.raises(errors.AlreadyExists):
        kube.create(policy(namespace, "a"))

    kube.patch(NETWORK_POLICY, "a", namespace, {"metadata": {"finalizers": None}})
    with pytest.raises(errors.NotFound):
        kube.get(NETWORK_POLICY, "a", namespace)


def test_orphans_are_announced_by_a_finalizer(kube: Kube, namespace: str) -> None:
    made = kube.create(config_map(namespace, "a"))
    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made), propagation="Orphan")
    assert kube.get(CONFIG_MAP, "a", namespace)["metadata"]["finalizers"] == ["orphan"]
    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made), propagation="Background")
    with pytest.raises(errors.NotFound):
        kube.get(CONFIG_MAP, "a", namespace)


def test_a_pod_on_a_node_goes_when_its_kubelet_says_so_and_another_at_once(kube: Kube, namespace: str) -> None:
    waiting, placed = kube.create(pod(namespace, "p")), kube.create(pod(namespace, "q", nodeName="n"))
    kube.delete(POD, "p", namespace, uid=objects.uid(waiting))
    kube.delete(POD, "q", namespace, uid=objects.uid(placed))
    assert [objects.name(body) for body in kube.list(POD, namespace)] == ["q"]
    going = kube.get(POD, "q", namespace)
    assert going["metadata"]["deletionGracePeriodSeconds"] == 30
    assert (objects.parse_time(going["metadata"]["deletionTimestamp"]) - objects.created(going)).total_seconds() >= 29


def test_a_claim_is_protected_from_the_start(kube: Kube, namespace: str) -> None:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    metadata = {"name": "a", "namespace": namespace}
    made = kube.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec})
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    kube.delete(PERSISTENT_VOLUME_CLAIM, "a", namespace, uid=objects.uid(made))
    assert objects.deleting(kube.get(PERSISTENT_VOLUME_CLAIM, "a", namespace))


def test_nothing_begins_in_a_namespace_that_ends(kube: Kube, namespace: str) -> None:
    name = f"{namespace}-ending"
    made = kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    assert (made["status"], objects.labels(made)) == ({"phase": "Active"}, {"kubernetes.io/metadata.name": name})
    kube.create(config_map(name, "a", x="1"))
    kube.delete(NAMESPACE, name, uid=objects.uid(made))

    going = kube.get(NAMESPACE, name)
    assert (objects.deleting(going), going["status"]["phase"]) == (True, "Terminating")
    for begin in (kube.create, kube.apply):
        with pytest.raises(errors.Forbidden, match="because it is being terminated") as caught:
            begin(config_map(name, "b"))
        assert caught.value.rule == ""
    assert kube.patch(CONFIG_MAP, "a", name, {"data": {"x": "2"}})["data"] == {"x": "2"}
    with pytest.raises(errors.Forbidden, match="this namespace may not be deleted"):
        kube.delete(NAMESPACE, "default", uid=objects.uid(kube.get(NAMESPACE, "default")))
