"""The Job that asks a runtime, at a real API server: with the rights that the sandbox hands out it is made, watched and taken down."""

import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest
from gsv_sandbox import identities

from gsv_ops.cleanup.images import runtime
from gsv_ops.cleanup.images.observe import Image
from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import JOB, POD
from gsv_ops.operations.operation import Desk
from gsv_ops_tests.contract.conftest import Cluster
from gsv_ops_tests.unit.cleanup import a_runtime

pytestmark = pytest.mark.control_plane

WEB = Image(("r.io/web:1",), 10, "sha256:1")
ACCOUNT = f"system:serviceaccount:{{}}:{identities.IMAGES}"
SECONDS = 20


class Logging:
    """The user's client, but for the log, which only a kubelet has."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    def logs(self, *_: object, **__: object) -> str:
        return a_runtime.told(WEB)


def identity(body: Object, namespace: str) -> Object:
    """One of the sandbox's, for this namespace and for the user `restricted` in place of the desk's."""
    found = {**body, "metadata": {**body["metadata"], "namespace": namespace}}
    if "subjects" in body:
        user = {"kind": "User", "apiGroup": identities.RBAC, "name": "restricted"}
        found["subjects"] = [{**one, "namespace": namespace} if one["kind"] == "ServiceAccount" else user for one in body["subjects"]]
    return found


def desk(cluster: Cluster, admin: KubeClient, namespace: str, folder: Path) -> Desk:
    """As the desk's identity in the sandbox: what it may read, and the token; no right to make a Job."""
    for body in identities.manifest():
        if body["metadata"]["name"].startswith(identities.IMAGES):
            admin.create(identity(body, namespace))
    role: Object = {"apiVersion": f"{identities.RBAC}/v1", "kind": "Role", "metadata": {"name": "sees", "namespace": namespace}}
    admin.create({**role, "rules": identities.SEES})
    binding = identities._binding("Role", "sees", "restricted", namespace)
    admin.create(binding)
    made = a_runtime.desk(Logging(connect(cluster.restricted)), folder)
    there = made.spec.desk.model_copy(update={"lease_namespace": namespace})
    return Desk(**{**vars(made), "spec": made.spec.model_copy(update={"desk": there})})


def node(admin: KubeClient, namespace: str) -> None:
    """What the Job's controller and a kubelet do."""
    end = time.monotonic() + SECONDS
    while not (jobs := admin.list(JOB, namespace)):
        assert time.monotonic() < end, "no Job came"
        time.sleep(0.05)
    (job,) = jobs
    template = job["spec"]["template"]
    labels = {**template["metadata"]["labels"], "batch.kubernetes.io/job-name": objects.name(job)}
    metadata = {"name": f"{objects.name(job)}-x", "namespace": namespace, "labels": labels}
    admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]})
    admin.patch(JOB, objects.name(job), namespace, {"status": {"active": 1}}, subresource="status")
    admin.patch(POD, metadata["name"], namespace, {"status": {"phase": "Succeeded"}}, subresource="status")


def test_the_rights_that_are_handed_out_suffice(cluster: Cluster, admin: KubeClient, kube: Kube, namespace: str, tmp_path: Path) -> None:
    at = desk(cluster, admin, namespace, tmp_path)
    other = threading.Thread(target=node, args=(admin, namespace))
    other.start()
    try:
        assert runtime.images(at, "image_report", a_runtime.NODE) == (WEB,)
    finally:
        other.join()
    left = [body for body in admin.list(JOB, namespace) if not objects.deleting(body)]
    assert left == []


def test_who_makes_the_job_may_do_nothing_else(cluster: Cluster, admin: KubeClient, kube: Kube, namespace: str, tmp_path: Path) -> None:
    at = desk(cluster, admin, namespace, tmp_path)
    job = runtime.job(at, "image_report", a_runtime.NODE, ("crictl", "images"))
    with pytest.raises(errors.Forbidden):
        at.kube.create(job)
    with at.kube.acting_as(namespace, identities.IMAGES) as account:
        elsewhere = cast(Object, {**job, "metadata": {**job["metadata"], "namespace": "default"}})
        with pytest.raises(errors.Forbidden) as caught:
            account.create(elsewhere)
        assert caught.value.user == ACCOUNT.format(namespace)
        for resource in (POD, JOB):
            with pytest.raises(errors.Forbidden):
                account.list(resource, "default")
    with pytest.raises(errors.Forbidden), at.kube.acting_as(namespace, identities.ON_NODE):
        pytest.fail("nobody may take the pod's identity")


def test_without_the_right_to_the_token_it_says_what_is_missing(cluster: Cluster, kube: Kube, namespace: str, tmp_path: Path) -> None:
    made = a_runtime.desk(connect(cluster.restricted), tmp_path)
    there = made.spec.desk.model_copy(update={"lease_namespace": namespace})
    at = Desk(**{**vars(made), "spec": made.spec.model_copy(update={"desk": there})})
    with pytest.raises(runtime.NotAsked, match="may not create serviceaccounts/token") as caught:
        runtime.images(at, "image_report", a_runtime.NODE)
    assert "make the ServiceAccounts" in caught.value.next_command
