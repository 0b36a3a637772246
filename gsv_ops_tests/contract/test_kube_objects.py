"""What the API server makes of an object in its life: versions, generations, status, finalizers, managers, and its end."""

from collections.abc import Callable

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, LEASE, NAMESPACE, NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POD, SECRET
from gsv_ops_tests.contract.bodies import config_map, secret

HOLD = "example.com/hold"


def policy(namespace: str, name: str, *finalizers: str) -> Object:
    metadata = {"name": name, "namespace": namespace, "finalizers": list(finalizers)}
    spec = {"podSelector": {}, "policyTypes": ["Ingress"]}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata, "spec": spec}


def pod(namespace: str, name: str, **spec: object) -> Object:
    container = {"name": "c", "image": "none.invalid/none"}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Running"},
    }


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


def test_json_patches_that_do_not_apply_change_nothing(kube: Kube, namespace: str) -> None:
    before = kube.create(config_map(namespace, "a", x="1"))
    for operation in (
        {"op": "remove", "path": "/data/none"},
        {"op": "add", "path": "/binaryData/x", "value": "eA=="},
        {"op": "test", "path": "/metadata/uid", "value": "another"},
        {"op": "sprocket", "path": "/data/x"},
    ):
        with pytest.raises(errors.Invalid):
            kube.patch(CONFIG_MAP, "a", namespace, [{"op": "add", "path": "/data/y", "value": "1"}, operation], kind="json")
    stale = [{"op": "replace", "path": "/metadata/resourceVersion", "value": "1"}, {"op": "remove", "path": "/data/x"}]
    with pytest.raises(errors.Conflict):
        kube.patch(CONFIG_MAP, "a", namespace, stale, kind="json")
    assert kube.get(CONFIG_MAP, "a", namespace) == before


def test_every_operation_of_a_json_patch(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a", x="1", **{"with.dot": "2"}))
    patched = kube.patch(
        CONFIG_MAP,
        "a",
        namespace,
        [
            {"op": "test", "path": "/data/x", "value": "1"},
            {"op": "add", "path": "/metadata/labels", "value": {"example.com/a": "b"}},
            {"op": "replace", "path": "/metadata/labels/example.com~1a", "value": "c"},
            {"op": "copy", "from": "/data/x", "path": "/data/y"},
            {"op": "move", "from": "/data/with.dot", "path": "/data/z"},
            {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/1", "example.com/3"]},
            {"op": "add", "path": "/metadata/finalizers/1", "value": "example.com/2"},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/4"},
            {"op": "remove", "path": "/metadata/finalizers/0"},
        ],
        kind="json",
    )
    assert patched["data"] == {"x": "1", "y": "1", "z": "2"}
    assert patched["metadata"]["labels"] == {"example.com/a": "c"}
    assert patched["metadata"]["finalizers"] == ["example.com/2", "example.com/3", "example.com/4"]
    kube.patch(CONFIG_MAP, "a", namespace, {"metadata": {"finalizers": None}})


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


def test_the_managers_of_a_field_are_told_with_the_servers_time(kube: Kube, namespace: str) -> None:
    spec = {"holderIdentity": "a", "leaseDurationSeconds": 1}
    kube.create({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a", "namespace": namespace}, "spec": spec})
    made = kube.patch(LEASE, "a", namespace, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})
    (entry,) = made["metadata"]["managedFields"]
    assert {key: entry[key] for key in ("manager", "operation", "apiVersion", "fieldsType")} == {
        "manager": "gsv-ops",
        "operation": "Update",
        "apiVersion": "coordination.k8s.io/v1",
        "fieldsType": "FieldsV1",
    }
    assert set(entry["fieldsV1"]["f:spec"]) - {"."} == {"f:holderIdentity", "f:leaseDurationSeconds", "f:renewTime"}
    assert objects.parse_time(entry["time"]) >= objects.created(made)


def test_an_apply_takes_only_its_own_fields_away(kube: Kube, namespace: str, create_as: Callable[[str, Object], None]) -> None:
    theirs = config_map(namespace, "a", theirs="1", both="1")
    theirs["metadata"] |= {"labels": {"theirs": "yes"}, "finalizers": [HOLD]}
    create_as("kubectl", theirs)
    ours = config_map(namespace, "a", both="1", ours="1")
    ours["metadata"] |= {"labels": {"ours": "yes"}, "finalizers": ["example.com/ours"]}

    applied = kube.apply(ours)  # the same value is no conflict
    assert applied["data"] == {"theirs": "1", "both": "1", "ours": "1"}
    assert objects.labels(applied) == {"theirs": "yes", "ours": "yes"}
    assert sorted(applied["metadata"]["finalizers"]) == ["example.com/hold", "example.com/ours"]

    less = kube.apply(config_map(namespace, "a"))
    assert (less["data"], objects.labels(less), less["metadata"]["finalizers"]) == ({"theirs": "1", "both": "1"}, {"theirs": "yes"}, [HOLD])
    kube.apply(config_map(namespace, "a", theirs="2"), force=True)
    kube.apply(config_map(namespace, "a", theirs="3"))  # ours now
    assert kube.apply(config_map(namespace, "a"))["data"] == {"both": "1"}
    kube.patch(CONFIG_MAP, "a", namespace, {"metadata": {"finalizers": None}})


def test_what_nobody_was_written_down_for_belongs_to_somebody(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a"))  # without a field of its own, and so without managers
    kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "1"}})
    assert "managedFields" not in kube.get(CONFIG_MAP, "a", namespace)["metadata"]
    with pytest.raises(errors.Conflict, match=r"before-first-apply manages \.data\.x"):
        kube.apply(config_map(namespace, "a", x="2"))


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [
        ("colour=red", "a b"),
        ("colour==red,size=big", "a"),
        ("colour!=red", "c d"),
        ("colour in (red, blue),size", "a c"),
        ("colour notin (red)", "c d"),
        ("size", "a c"),
        ("!size", "b d"),
        ("example.com/x=", "d"),
    ],
)
def test_label_selectors(kube: Kube, namespace: str, labels: str, chosen: str) -> None:
    for name, given in {
        "a": {"colour": "red", "size": "big"},
        "b": {"colour": "red"},
        "c": {"colour": "blue", "size": "big"},
        "d": {"example.com/x": ""},
    }.items():
        body = config_map(namespace, name)
        body["metadata"]["labels"] = given
        kube.create(body)
    assert [objects.name(body) for body in kube.list(CONFIG_MAP, namespace, labels=labels)] == chosen.split()


def test_field_selectors_are_those_of_the_kind(kube: Kube, namespace: str) -> None:
    kube.create(secret(namespace, "a"))
    kube.create(secret(namespace, "b") | {"type": "example.com/b"})
    kube.create(pod(namespace, "p", nodeName="n"))
    assert [objects.name(body) for body in kube.list(SECRET, namespace, fields="type=example.com/b")] == ["b"]
    assert [objects.name(body) for body in kube.list(SECRET, namespace, fields="type!=example.com/b,metadata.name!=c")] == ["a"]
    assert [objects.name(body) for body in kube.list(POD, namespace, fields="spec.nodeName=n,status.phase=Pending")] == ["p"]
    assert kube.list(POD, namespace, fields="spec.nodeName=") == []
    for selection in ({"fields": "data.x=1"}, {"fields": "type"}, {"labels": "a in b"}, {"labels": "a=b=c"}):
        with pytest.raises(errors.Invalid):
            kube.list(CONFIG_MAP, namespace, **selection)


def test_streams_begin_at_a_pod_and_a_container_that_are_there(kube: Kube, namespace: str) -> None:
    kube.create(pod(namespace, "web-0"))
    for missing in (
        lambda: kube.exec(namespace, "web-1", "c", ["true"]),
        lambda: kube.logs(namespace, "web-1", "c"),
        lambda: kube.open_port(namespace, "web-1", 80),
    ):
        with pytest.raises(errors.NotFound) as caught:
            missing()
        assert caught.value.near == ("web-0",)
    for verb in (lambda: kube.exec(namespace, "web-0", "d", ["true"]), lambda: kube.logs(namespace, "web-0", "d")):
        with pytest.raises(errors.StreamFailed, match="container d is not valid for pod web-0"):
            verb()
