"""What `Kube` promises of reading and writing, whatever stands behind it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, NAMESPACE, POD, POSTGRES_CLUSTER, SECRET
from gsv_ops_tests.contract.bodies import config_map, secret


def test_a_list_longer_than_two_pages_is_whole_and_typed(kube: Kube, namespace: str) -> None:
    count = 1200
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda i: kube.create(config_map(namespace, f"c-{i:04}", number=str(i))), range(count)))

    listed = kube.list(CONFIG_MAP, namespace)

    assert sorted(objects.name(body) for body in listed) == [f"c-{i:04}" for i in range(count)]
    assert {objects.uid(body) for body in listed} == {objects.uid(body) for body in made}
    assert {(body["apiVersion"], body["kind"]) for body in listed} == {("v1", "ConfigMap")}


def test_a_metadata_only_list_has_the_names_and_not_the_data(kube: Kube, namespace: str) -> None:
    kube.create(secret(namespace, "s", password="correct horse"))

    (listed,) = kube.list(SECRET, namespace, metadata_only=True)

    assert objects.name(listed) == "s"
    assert objects.uid(listed)
    assert "data" not in listed
    assert listed["kind"] == "Secret"


def test_a_list_takes_label_and_field_selectors(kube: Kube, namespace: str) -> None:
    for name, colour in (("a", "red"), ("b", "red"), ("c", "blue")):
        body = config_map(namespace, name)
        body["metadata"]["labels"] = {"colour": colour}
        kube.create(body)

    assert [objects.name(body) for body in kube.list(CONFIG_MAP, namespace, labels="colour=red")] == ["a", "b"]
    assert [objects.name(body) for body in kube.list(CONFIG_MAP, namespace, fields="metadata.name=b")] == ["b"]
    assert [objects.namespace(body) for body in kube.list(CONFIG_MAP, fields=f"metadata.namespace={namespace}")] == [namespace] * 3


def test_a_missing_object_is_not_found_with_names_that_look_alike(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "web-settings"))
    kube.create(config_map(namespace, "other"))

    with pytest.raises(errors.NotFound, match="did you mean web-settings") as caught:
        kube.get(CONFIG_MAP, "web-setings", namespace)

    assert caught.value.near == ("web-settings",)
    assert (caught.value.status, caught.value.reason) == (404, "NotFound")
    assert (caught.value.name, caught.value.namespace, caught.value.resource) == ("web-setings", namespace, CONFIG_MAP)


def test_a_missing_namespace_is_said_to_be_what_is_missing(kube: Kube, namespace: str) -> None:
    wrong = namespace + "x"

    for attempt in (
        lambda: kube.get(CONFIG_MAP, "a", wrong),
        lambda: kube.create(config_map(wrong, "a")),
        lambda: kube.apply(config_map(wrong, "a")),
        lambda: kube.delete(CONFIG_MAP, "a", wrong, uid="0"),
    ):
        with pytest.raises(errors.NamespaceNotFound, match=f'namespace "{wrong}" does not exist; did you mean') as caught:
            attempt()
        assert namespace in caught.value.near

    assert kube.list(CONFIG_MAP, wrong) == []


def test_a_kind_the_server_does_not_know_is_not_served(kube: Kube) -> None:
    with pytest.raises(errors.NotServed, match=r"does not serve postgresql.cnpg.io/v1 clusters; install the component that brings Cluster"):
        kube.list(POSTGRES_CLUSTER)


def test_a_taken_name_already_exists_even_for_the_same_body(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a", x="1"))

    with pytest.raises(errors.AlreadyExists):
        kube.create(config_map(namespace, "a", x="1"))


def test_a_generated_name_is_generated(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "")
    body["metadata"] = {"generateName": "run-", "namespace": namespace}

    names = {objects.name(kube.create(body)) for _ in range(3)}

    assert len(names) == 3
    assert all(name.startswith("run-") and len(name) == 9 for name in names)


def test_apply_makes_and_changes_and_conflicts_name_the_other_manager(
    kube: Kube, namespace: str, create_as: Callable[[str, Object], None]
) -> None:
    made = kube.apply(config_map(namespace, "a", x="1", y="1"))
    changed = kube.apply(config_map(namespace, "a", x="2"))
    assert objects.uid(made) == objects.uid(changed)
    assert changed["data"] == {"x": "2"}  # what we no longer ask for is gone

    somebody = dict(made["metadata"]["managedFields"][0])
    assert somebody["manager"] == "gsv-ops"
    assert somebody["operation"] == "Apply"
    create_as("kubectl", config_map(namespace, "b", x="theirs"))

    with pytest.raises(errors.Conflict, match=r"kubectl manages \.data\.x") as caught:
        kube.apply(config_map(namespace, "b", x="3"))
    assert caught.value.managers == ("kubectl",)
    assert kube.get(CONFIG_MAP, "b", namespace)["data"] == {"x": "theirs"}

    assert kube.apply(config_map(namespace, "b", x="3"), force=True)["data"] == {"x": "3"}


def test_apply_is_not_in_conflict_with_our_own_create_and_patch(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a", x="1"))
    kube.patch(CONFIG_MAP, "a", namespace, {"data": {"y": "1"}})

    assert kube.apply(config_map(namespace, "a", x="2", y="2"))["data"] == {"x": "2", "y": "2"}


def test_a_merge_patch_with_a_stale_version_is_a_conflict_and_changes_nothing(kube: Kube, namespace: str) -> None:
    old = objects.resource_version(kube.create(config_map(namespace, "a", x="1")))
    kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "2"}})

    with pytest.raises(errors.Conflict, match="no longer the object the change relied on"):
        kube.patch(CONFIG_MAP, "a", namespace, {"metadata": {"resourceVersion": old}, "data": {"x": "3"}})

    assert kube.get(CONFIG_MAP, "a", namespace)["data"] == {"x": "2"}


def test_a_merge_patch_with_another_uid_is_a_conflict(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a", x="1"))

    with pytest.raises(errors.Conflict):
        kube.patch(CONFIG_MAP, "a", namespace, {"metadata": {"uid": "another"}, "data": {"x": "3"}})

    assert kube.get(CONFIG_MAP, "a", namespace)["data"] == {"x": "1"}


def test_each_kind_of_patch_is_what_it_says(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a", x="1", y="1"))

    assert kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": None}}, kind="merge")["data"] == {"y": "1"}
    operations = [{"op": "test", "path": "/data/y", "value": "1"}, {"op": "replace", "path": "/data/y", "value": "2"}]
    assert kube.patch(CONFIG_MAP, "a", namespace, operations, kind="json")["data"] == {"y": "2"}
    assert kube.patch(CONFIG_MAP, "a", namespace, {"data": {"z": "1"}}, kind="strategic")["data"] == {"y": "2", "z": "1"}
    with pytest.raises(ValueError, match="a json patch is a list of operations, not dict"):
        kube.patch(CONFIG_MAP, "a", namespace, {"data": {}}, kind="json")
    with pytest.raises(errors.Invalid):
        kube.patch(CONFIG_MAP, "a", namespace, operations, kind="json")  # the test op no longer holds


def test_a_patch_of_the_status_leaves_the_spec_alone(kube: Kube, namespace: str) -> None:
    kube.create(_pod(namespace, "p"))
    both = {"status": {"phase": "Running"}, "spec": {"activeDeadlineSeconds": 5}}

    patched = kube.patch(POD, "p", namespace, both, subresource="status")

    assert patched["status"]["phase"] == "Running"
    assert "activeDeadlineSeconds" not in patched["spec"]


def test_delete_removes_exactly_the_object_that_is_meant(kube: Kube, namespace: str) -> None:
    first = kube.create(config_map(namespace, "a"))
    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(first))
    second = kube.create(config_map(namespace, "a"))

    with pytest.raises(errors.Conflict):
        kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(first))
    kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "1"}})
    with pytest.raises(errors.Conflict):
        kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(second), resource_version=objects.resource_version(second))
    assert objects.uid(kube.get(CONFIG_MAP, "a", namespace)) == objects.uid(second)

    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(second))
    with pytest.raises(errors.NotFound):
        kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(second))
    with pytest.raises(ValueError, match="expected the uid"):
        kube.delete(CONFIG_MAP, "a", namespace, uid="")


def test_delete_says_how_dependents_go(kube: Kube, namespace: str) -> None:
    made = kube.create(config_map(namespace, "a"))

    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made), propagation="Foreground")

    # Nothing here collects garbage, so the finalizer that Foreground sets stays to be seen.
    left = kube.get(CONFIG_MAP, "a", namespace)
    assert objects.deleting(left)
    assert left["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_dry_run_answers_and_changes_nothing(kube: Kube, namespace: str) -> None:
    before = kube.create(config_map(namespace, "a", x="1"))

    assert kube.create(config_map(namespace, "new"), dry_run=True)["metadata"]["uid"]
    assert kube.apply(config_map(namespace, "new2"), dry_run=True)["metadata"]["uid"]
    assert kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "2"}}, dry_run=True)["data"] == {"x": "2"}
    kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(before), dry_run=True)

    assert kube.list(CONFIG_MAP, namespace) == [before]


def test_a_refused_body_says_which_field_and_why(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "a")
    body["data"] = {"bad key": "x"}

    with pytest.raises(errors.Invalid, match=r"data\[bad key\]: Invalid value") as caught:
        kube.create(body)

    assert caught.value.status == 422
    assert len(caught.value.fields) == 1


def test_an_apply_of_the_wrong_shape_says_where(kube: Kube, namespace: str) -> None:
    body = config_map(namespace, "a")

    with pytest.raises(errors.Invalid, match=r"wrong shape: \.data\.x: expected string\. Mend it"):
        kube.apply(body | {"data": {"x": ["y"]}})
    with pytest.raises(errors.Invalid, match=r"wrong shape: \.sprocket: field not declared in schema"):
        kube.apply(body | {"sprocket": 1})
    kube.create(body)
    with pytest.raises(errors.Invalid, match=r"\(422\): patch: (?!.*creationTimestamp)"):
        kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": ["y"]}})


def test_a_namespace_where_none_belongs_and_the_lack_of_one_are_errors_of_the_caller(kube: Kube) -> None:
    with pytest.raises(ValueError, match="namespaces belong to the cluster: expected no namespace, not 'default'"):
        kube.get(NAMESPACE, "default", "default")
    with pytest.raises(ValueError, match="configmaps live in namespaces: expected one"):
        kube.get(CONFIG_MAP, "a")
    with pytest.raises(ValueError, match="no resource is known for apiVersion 'v1', kind 'Sprocket'"):
        kube.create({"apiVersion": "v1", "kind": "Sprocket", "metadata": {"name": "a"}})


def test_the_server_version_is_a_kubernetes_version(kube: Kube) -> None:
    assert kube.server_version()["gitVersion"].startswith("v1.")


def _pod(namespace: str, name: str) -> dict[str, object]:
    container = {"name": "c", "image": "none.invalid/none"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace}, "spec": {"containers": [container]}}
