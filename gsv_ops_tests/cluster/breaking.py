"""What the fault table breaks of the cluster, each for as long as a block lasts: from outside, and put back whatever happens."""

from __future__ import annotations

import base64
import copy
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gsv_sandbox import control_plane
from gsv_sandbox.processes import Processes
from gsv_sandbox.state import Paths
from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, NAMESPACE, Outside, until

OPERATOR_NAMESPACE = "cnpg-system"
OPERATOR = "cnpg-controller-manager"
OPERATOR_PODS = "app.kubernetes.io/name=cloudnative-pg"
API_SERVER = "kube-apiserver"
STORE_SECRET = "cmp-postgres-s3"


@contextmanager
def parameter_of_the_source(outside: Outside, name: str, value: str) -> Iterator[None]:
    """cmp-postgres with another PostgreSQL parameter (one that is only reloaded)."""
    before = copy.deepcopy(outside.get("clusters", CLUSTER)["spec"]["postgresql"]["parameters"].get(name))

    def patch(to: Any) -> None:
        body = {"spec": {"postgresql": {"parameters": {name: to}}}}
        outside.custom.patch_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", CLUSTER, body)

    patch(value)
    try:
        yield
    finally:
        patch(before)


@contextmanager
def wrong_credentials(outside: Outside) -> Iterator[None]:
    """The Secret of the object store with another secret key, as after a rotation that was done on one side only."""
    before = outside.core.read_namespaced_secret(STORE_SECRET, NAMESPACE).data["ACCESS_SECRET_KEY"]

    def patch(to: str) -> None:
        outside.core.patch_namespaced_secret(STORE_SECRET, NAMESPACE, {"data": {"ACCESS_SECRET_KEY": to}})

    patch(base64.b64encode(b"a key that the store does not know").decode())
    try:
        yield
    finally:
        patch(before)


def restart_the_operator(outside: Outside) -> None:
    """Its pod is deleted, without grace; the Deployment makes another."""
    pods = outside.core.list_namespaced_pod(OPERATOR_NAMESPACE, label_selector=OPERATOR_PODS).items
    assert pods, f"no pod of {OPERATOR} by {OPERATOR_PODS}"
    for pod in pods:
        outside.core.delete_namespaced_pod(pod.metadata.name, OPERATOR_NAMESPACE, grace_period_seconds=0)


def operator_works(outside: Outside) -> None:
    """Wait until the operator is there and the cluster whole."""

    def available() -> bool:
        status = client.AppsV1Api(outside.core.api_client).read_namespaced_deployment(OPERATOR, OPERATOR_NAMESPACE).status
        return bool(status.available_replicas) and not status.unavailable_replicas

    until(available, 120, f"{OPERATOR} to be available")
    until(outside.healthy, 180, f"{CLUSTER} to be whole")


def delete_unended(outside: Outside) -> None:
    """Backups that the operator says are begun and that will never end hold up all later ones."""
    for body in outside.list("backups"):
        if body.get("status", {}).get("phase") in ("started", "running"):
            outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "backups", body["metadata"]["name"])


def restart_the_api_server(outside: Outside, sandbox: Paths, seconds: float) -> None:
    """Its process is ended, and started again as it was after so many seconds; returns when it answers."""
    processes = Processes(sandbox)
    pid = processes.pid(API_SERVER)
    assert pid is not None, "the API server does not run"
    binaries = Path(f"/proc/{pid}/exe").readlink().parent
    processes.stop(API_SERVER)
    try:
        time.sleep(seconds)
    finally:
        processes.start(control_plane.apiserver(sandbox, binaries))
        until(lambda: api_answers(outside), 90, "the API server to answer")


def api_answers(outside: Outside) -> bool:
    """Whether the API server does."""
    try:
        outside.core.read_namespace(NAMESPACE)
    except (ApiException, HTTPError):
        return False
    return True


def kill_the_primary(outside: Outside) -> None:
    """Its pod is deleted, without grace."""
    outside.core.delete_namespaced_pod(outside.primary(), NAMESPACE, grace_period_seconds=0)


def promote_the_replica(outside: Outside) -> None:
    """As CloudNativePG's own plugin does it: the target primary, through the status subresource. Until a primary is settled."""
    body = outside.get("clusters", CLUSTER)
    status = body["status"]
    replica = next(name for name in status["instanceNames"] if name != status["currentPrimary"])
    patch = {
        "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
        "status": {"targetPrimary": replica, "phase": "Switchover in progress", "phaseReason": f"Switching over to {replica}"},
    }
    outside.custom.patch_namespaced_custom_object_status(*CNPG, NAMESPACE, "clusters", CLUSTER, patch)
    until(lambda: outside.primary() == replica and outside.answers(replica), 120, f"{replica} to be primary")


@contextmanager
def small_volume(outside: Outside, folder: Path, claim: str, megabytes: int) -> Iterator[None]:
    """The claim will be bound to a volume that says what it is asked and holds much less: a file system in a file.

    To be entered before the claim is made, and left when it is gone.
    """
    storage = outside.get("clusters", CLUSTER)["spec"]["storage"]
    image, mount = folder / "volume.img", folder / "volume"
    mount.mkdir()
    with image.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    node = outside.core.list_node(label_selector="kubernetes.io/hostname=sandbox").items[0].metadata.name
    affinity = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    body = {
        "metadata": {"name": f"small-{claim}"},
        "spec": {
            "capacity": {"storage": storage["size"]},
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage.get("storageClass", "local-path"),
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"namespace": NAMESPACE, "name": claim},
            "local": {"path": str(mount)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [affinity]}},
        },
    }
    with ExitStack() as back:
        subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, timeout=60)
        subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True, timeout=60)
        back.callback(subprocess.run, ["umount", str(mount)], check=True, timeout=60)
        mount.chmod(0o777)
        outside.core.create_persistent_volume(body)
        back.callback(outside.core.delete_persistent_volume, f"small-{claim}")
        yield
