"""Which objects a list's selectors choose, what json patches do, and where streams begin: the finer points of single verbs."""

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import CONFIG_MAP, POD, SECRET
from gsv_ops_tests.contract.bodies import config_map, pod, secret


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
    for labels, fields in (("", "data.x=1"), ("", "type"), ("a in b", ""), ("a=b=c", "")):
        with pytest.raises(errors.Invalid):
            kube.list(CONFIG_MAP, namespace, labels=labels, fields=fields)


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
