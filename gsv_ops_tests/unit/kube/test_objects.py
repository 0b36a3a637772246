"""The accessors, quantities, and the judgement of whose work an object is."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gsv_ops.kube import objects, ownership
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import bytes_of, number_of

BODY: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {
        "name": "web-0",
        "namespace": "cmp",
        "uid": "u-1",
        "resourceVersion": "7",
        "labels": {"app": "web"},
        "annotations": None,
        "creationTimestamp": "2026-11-23T13:46:47Z",
        "ownerReferences": [
            {"kind": "Gc", "name": "other", "uid": "u-2"},
            {"kind": "StatefulSet", "name": "web", "uid": "u-3", "controller": True},
        ],
    },
    "spec": {"containers": [{"image": "web:1"}]},
    "status": {
        "conditions": [
            {"type": "Ready", "status": "False", "reason": "R", "message": "M", "lastTransitionTime": "2026-11-23T13:46:59.670933Z"},
            {"type": "Odd", "status": "maybe"},
            {"status": "True"},
        ]
    },
}


def test_accessors() -> None:
    assert (objects.name(BODY), objects.namespace(BODY), objects.uid(BODY), objects.resource_version(BODY)) == ("web-0", "cmp", "u-1", "7")
    assert (objects.labels(BODY), objects.annotations(BODY)) == ({"app": "web"}, {})
    assert objects.created(BODY) == datetime(2026, 11, 23, 13, 46, 47, tzinfo=UTC)
    assert objects.controller(BODY) == objects.Owner("StatefulSet", "web", "u-3", True)
    assert not objects.deleting(BODY)
    assert objects.at(BODY, "spec", "containers", 0, "image") == "web:1"
    assert objects.at(BODY, "spec", "containers", 1, "image", default="none") == "none"
    assert objects.at(BODY, "spec", "containers", "image") is None
    assert objects.at(BODY, "metadata", "annotations", default={}) == {}
    assert objects.at(None, "metadata") is None


def test_conditions() -> None:
    ready = objects.condition(BODY, "Ready")
    odd = objects.condition(BODY, "Odd")

    assert ready is not None
    assert odd is not None
    assert not ready.true
    assert str(ready) == "Ready=False (R: M)"
    assert ready.since == datetime(2026, 11, 23, 13, 46, 59, 670933, tzinfo=UTC)
    assert (odd.status, odd.true) == ("Unknown", False)
    assert objects.condition(BODY, "Absent") is None
    assert len(objects.conditions(BODY)) == 2


def test_what_was_never_stored_has_no_identity() -> None:
    with pytest.raises(ValueError, match=r"Pod 'a' has no metadata.uid: expected an object as read"):
        objects.uid({"kind": "Pod", "metadata": {"name": "a"}})
    with pytest.raises(ValueError, match="has no creationTimestamp"):
        objects.created({"kind": "Pod", "metadata": {"name": "a"}})


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-23T13:46:47Z", datetime(2026, 11, 23, 13, 46, 47, tzinfo=UTC)),
        ("2026-11-23T13:46:47.123456Z", datetime(2026, 11, 23, 13, 46, 47, 123456, tzinfo=UTC)),
        ("2026-11-23T14:46:47+01:00", datetime(2026, 11, 23, 14, 46, 47, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_parse_time(text: str, moment: datetime) -> None:
    assert objects.parse_time(text) == moment


@pytest.mark.parametrize(("text", "message"), [("2026-11-23T13:46:47", "has no offset"), ("yesterday", "is no time"), ("", "is no time")])
def test_parse_time_refuses_what_is_no_instant(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        objects.parse_time(text)


@pytest.mark.parametrize(
    ("quantity", "size"), [("10Gi", 10 * 2**30), ("500M", 500_000_000), ("1500m", 2), (7, 7), ("0", 0), ("1.5Ki", 1536), ("1e3", 1000)]
)
def test_bytes_of(quantity: str | int, size: int) -> None:
    assert bytes_of(quantity) == size


@pytest.mark.parametrize("quantity", ["10Gib", "", "ten", "-1Gi", "NaN", "Infinity", "1ki"])
def test_bytes_of_refuses_what_is_no_size(quantity: str) -> None:
    with pytest.raises(ValueError, match="expected a"):
        bytes_of(quantity)


def test_number_of_is_exact() -> None:
    assert number_of("100m") * 10 == 1


SENT: Object = {
    "kind": "Secret",
    "metadata": {"name": "a", "labels": {}},
    "stringData": {"p": "x"},
    "spec": {"cpu": "1000m", "list": [1, 2]},
}
STORED: Object = {
    "kind": "Secret",
    "metadata": {
        "name": "a",
        "uid": "u-1",
        "creationTimestamp": "2026-11-23T13:46:40Z",
        "managedFields": [{"manager": "gsv-ops", "operation": "Update"}],
    },
    "data": {"p": "eA=="},
    "spec": {"cpu": "1", "list": [1, 2], "defaulted": True},
}
SECOND_41 = datetime(2026, 11, 23, 13, 46, 41, tzinfo=UTC).timestamp()


def test_an_object_with_all_our_fields_made_in_our_time_is_ours() -> None:
    assert ownership.made_by(SENT, STORED, "gsv-ops", 0.5, SECOND_41)


@pytest.mark.parametrize(
    "stored",
    [
        STORED | {"data": {"p": "eQ=="}},
        STORED | {"data": {}},
        STORED | {"spec": {"cpu": "2", "list": [1, 2]}},
        STORED | {"spec": {"cpu": "1", "list": [2, 1]}},
        STORED | {"metadata": STORED["metadata"] | {"managedFields": [{"manager": "kubectl", "operation": "Update"}]}},
        STORED | {"metadata": STORED["metadata"] | {"creationTimestamp": "2026-11-23T13:46:30Z"}},
    ],
    ids=["other value", "no value", "other quantity", "other order", "other manager", "older"],
)
def test_anything_else_is_not_ours(stored: Object) -> None:
    assert not ownership.made_by(SENT, stored, "gsv-ops", 0.5, SECOND_41)


def test_without_the_servers_clock_nothing_is_ours() -> None:
    assert not ownership.made_by(SENT, STORED, "gsv-ops", 0.5, None)


@pytest.mark.parametrize(
    ("patch", "holds"),
    [
        ({"metadata": {"resourceVersion": "1"}, "spec": {"cpu": "1"}}, True),
        ({"metadata": {"uid": "u-1"}, "spec": {"gone": None}}, True),
        ({"metadata": {"uid": "u-2"}, "spec": {"cpu": "1"}}, False),
        ({"spec": {"defaulted": None}}, False),
        ({"spec": {"list": []}}, False),
        ({"spec": {"defaulted": False}}, False),
        ({"spec": {"defaulted": 1.5}}, False),
    ],
)
def test_whether_a_patch_is_in_force(patch: Object, holds: bool) -> None:
    assert ownership.holds(STORED, patch) is holds
