"""What a run deleted is put back, by undo and by the bundle's own kubectl line."""

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from gsv_ops.housekeeping.jobs import UNDO
from gsv_ops.kube import objects, resources
from gsv_ops.kube.client import KubeClient
from gsv_ops.kube.paths import path
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, POD
from gsv_ops.kube.responses import Request
from gsv_ops.kube.transport import Call
from gsv_ops_tests.contract.bodies import config_map, pod, secret
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.contract.tidy import TIDY_JOB, found, marked


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def template(**labels: str) -> Object:
    return {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "none.invalid/c", "env": [ODD]}]}}


VALUE = "hunter2-is-no-password"
ODD = {"name": "ODD", "value": "1e3"}


def replica_set(namespace: str, name: str) -> Object:
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": name}}, "template": template(app=name)}
    return {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def job(namespace: str, name: str) -> Object:
    spec = {"template": {**template(app=name), "spec": {**template()["spec"], "restartPolicy": "Never"}}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def owner_of(body: Object) -> Object:
    return {
        "apiVersion": body["apiVersion"],
        "kind": body["kind"],
        "name": objects.name(body),
        "uid": objects.uid(body),
        "controller": True,
    }


def essence(body: Object) -> Object:
    """What must come back just as it was."""
    kept = {key: value for key, value in body.items() if key != "status"}
    kept["metadata"] = {key: body["metadata"].get(key) for key in ("name", "namespace", "labels", "annotations", "ownerReferences")}
    if body["kind"] == "Job":
        generated = [key for key in body["spec"]["template"]["metadata"].get("labels", {}) if "controller-uid" in key]
        kept = json.loads(json.dumps(kept))
        kept["spec"].pop("selector", None)
        for key in generated:
            kept["spec"]["template"]["metadata"]["labels"].pop(key)
        kept["spec"].pop("suspend", None)
    if body["kind"] == "Pod":
        kept = json.loads(json.dumps(kept))
        kept["spec"].pop("schedulingGates", None)
        kept["spec"].pop("nodeName", None)
    return kept


def everything(kube: Kube, namespace: str) -> dict[str, Object]:
    """One of each kind, as stored."""
    owner = kube.create(config_map(namespace, "owner"))
    bodies = [
        marked(config_map(namespace, "settings", x="yes", text="a\n---\nb\n  c: {}\n"), annotations={"note": "é☃😀", "on": "off"}),
        marked(secret(namespace, "login", password=VALUE)),
        marked(pod(namespace, "leftover", nodeName="n-1", restartPolicy="Never"), finalizers=["batch.kubernetes.io/job-tracking"]),
        marked(replica_set(namespace, "web-1"), ownerReferences=[owner_of(owner)]),
        marked(job(namespace, "migrate")),
    ]
    for body in bodies:
        kube.create(body)
    kube.patch(POD, "leftover", namespace, {"metadata": {"finalizers": None}})
    return found(kube, namespace)


def cleared(kube: Kube, namespace: str) -> None:
    """Nothing here runs the kubelet that ends a pod's deletion."""
    for body in kube.list(POD, namespace):
        if objects.deleting(body) and isinstance(kube, KubeClient):
            uid = objects.uid(body)
            options = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
            send(kube, "DELETE", path(POD, namespace, objects.name(body)), options)
        elif objects.deleting(body):
            kube.remove(POD, objects.name(body), namespace)  # type: ignore[attr-defined]


def send(kube: KubeClient, method: str, where: str, body: Object) -> Object:
    return kube._transport.json(Call(Request("create", None, None, "", ""), method, where, {}, body))


def test_what_was_deleted_comes_back_as_it_was_and_its_bundle_is_for_its_owner_only(kube: Kube, desk: DeskHere, namespace: str) -> None:
    before = everything(kube, namespace)
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    cleared(kube, namespace)
    assert found(kube, namespace) == {}

    (bundle,) = desk.bundles()
    assert bundle.name == f"{run_id}-0001.yaml"
    assert stat.S_IMODE(bundle.stat().st_mode) == 0o600
    assert stat.S_IMODE(bundle.parent.stat().st_mode) == 0o700
    assert f"kubectl create -f {bundle}" in bundle.read_text()

    desk.apply(UNDO, run=run_id[:8])
    after = found(kube, namespace)
    assert {name: essence(body) for name, body in after.items()} == {name: essence(body) for name, body in before.items()}
    assert after["migrate"]["spec"]["suspend"] is True, "it would run again"
    assert after["leftover"]["spec"]["schedulingGates"] == [{"name": "gsv-ops/put-back"}], "it would run again"
    assert "nodeName" not in after["leftover"]["spec"]

    told = desk.everything_told()
    assert run_id in told
    encoded = before["login"]["data"]["password"]
    assert encoded in bundle.read_text()
    assert encoded not in told
    assert VALUE not in told


@pytest.mark.control_plane
def test_the_bundle_replays_by_itself(kube: Kube, desk: DeskHere, namespace: str) -> None:
    """As `kubectl create -f` does it: each document read as YAML and sent to where its kind lives, strictly."""
    assert isinstance(kube, KubeClient)
    before = everything(kube, namespace)
    desk.apply(TIDY_JOB, namespace=namespace)
    cleared(kube, namespace)
    (bundle,) = desk.bundles()
    documents = [document for document in yaml.safe_load_all(bundle.read_text()) if document]
    assert len(documents) == len(before)
    for document in documents:
        where = path(resources.of(document), namespace)
        about = Request("create", None, None, "", "")
        kube._transport.json(Call(about, "POST", where, {"fieldValidation": "Strict"}, document))
    orphaned = {name: {**body, "metadata": {**body["metadata"], "ownerReferences": None}} for name, body in before.items()}
    assert {name: essence(body) for name, body in found(kube, namespace).items()} == {n: essence(b) for n, b in orphaned.items()}


def test_what_exists_again_is_left_alone_and_a_second_undo_finds_nothing_to_do(kube: Kube, desk: DeskHere, namespace: str) -> None:
    for name in ("a", "b"):
        kube.create(marked(config_map(namespace, name, x="old")))
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    kube.create(config_map(namespace, "a", x="new"))

    first = desk.run(UNDO, mode="plan", run=run_id)
    assert [row["target"] for row in desk.shown(first)["what would be done"]] == [f"ConfigMap {namespace}/b"]
    assert [row["why"] for row in desk.shown(first)["what is left alone"]] == ["it exists again"]
    desk.apply(UNDO, run=run_id)
    assert kube.get(CONFIG_MAP, "a", namespace)["data"] == {"x": "new"}
    assert kube.get(CONFIG_MAP, "b", namespace)["data"] == {"x": "old"}

    again = desk.run(UNDO, mode="apply", run=run_id)
    assert again.success
    assert desk.shown(again)["actions"] == 0


def test_an_owner_that_was_made_again_is_not_the_owner(kube: Kube, desk: DeskHere, namespace: str) -> None:
    lives, goes = (kube.create(config_map(namespace, name)) for name in ("lives", "goes"))
    kube.create(marked(config_map(namespace, "child"), ownerReferences=[{**owner_of(goes), "controller": False}, owner_of(lives)]))
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    kube.delete(CONFIG_MAP, "goes", namespace, uid=objects.uid(goes))
    kube.create(config_map(namespace, "goes"))

    ran = desk.run(UNDO, mode="plan", run=run_id)
    (row,) = desk.shown(ran)["what would be done"]
    assert "it goes back to ConfigMap lives" in row["why"]
    assert "without its owner ConfigMap goes" in row["why"]
    desk.apply(UNDO, run=run_id)
    owners = objects.owners(kube.get(CONFIG_MAP, "child", namespace))
    assert [(owner.name, owner.uid) for owner in owners] == [("lives", objects.uid(lives))]


def test_an_owner_that_goes_between_plan_and_apply_refuses(kube: Kube, desk: DeskHere, namespace: str) -> None:
    owner = kube.create(config_map(namespace, "owner"))
    kube.create(marked(config_map(namespace, "child"), ownerReferences=[owner_of(owner)]))
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    plan_id = desk.plan(UNDO, run=run_id)
    kube.delete(CONFIG_MAP, "owner", namespace, uid=objects.uid(owner))
    ran = desk.run(UNDO, mode="apply", plan_id=plan_id, run=run_id)
    assert "the cluster has moved on since plan" in desk.failure(ran)
    assert found(kube, namespace) == {}


def test_a_bundle_that_was_changed_since_the_plan_is_refused(kube: Kube, desk: DeskHere, namespace: str) -> None:
    kube.create(marked(config_map(namespace, "a", x="old")))
    run_id = desk.apply(TIDY_JOB, namespace=namespace)
    plan_id = desk.plan(UNDO, run=run_id)
    (bundle,) = desk.bundles()
    bundle.write_text(bundle.read_text().replace("x: old", "x: new"))
    ran = desk.run(UNDO, mode="apply", plan_id=plan_id, run=run_id)
    assert "the cluster has moved on since plan" in desk.failure(ran)
    assert found(kube, namespace) == {}


def test_a_namespace_that_is_gone_is_refused(kube: Kube, desk: DeskHere) -> None:
    if isinstance(kube, KubeClient):
        pytest.skip("nothing here runs the controller that ends a namespace")
    gone = kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gone"}})
    kube.create(marked(config_map("gone", "a")))
    run_id = desk.apply(TIDY_JOB, namespace="gone")
    assert objects.uid(gone)
    kube.remove(resources.NAMESPACE, "gone")  # type: ignore[attr-defined]
    ran = desk.run(UNDO, mode="apply", run=run_id)
    assert "namespace gone does not exist" in desk.failure(ran)


def test_a_run_that_deleted_nothing_is_told(kube: Kube, desk: DeskHere) -> None:
    ran = desk.run(UNDO, mode="plan", run="12345678")
    assert "run 12345678 left nothing to put back" in desk.failure(ran)
