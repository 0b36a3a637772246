"""Who manages which field: what an apply takes, leaves and takes away."""

from collections.abc import Callable

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, LEASE
from gsv_ops_tests.contract.bodies import config_map

HOLD = "example.com/hold"


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
