"""Workloads with real pods for the cleanups to look at, made and watched by the official client alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.outside import Outside, until

IMAGE = "localhost/busybox:1.35"
REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
READY_SECONDS = 60
Body = dict[str, Any]


class Workloads:
    """One namespace of the test's own."""

    def __init__(self, outside: Outside, namespace: str) -> None:
        self.outside, self.namespace = outside, namespace

    def make(self) -> None:
        """The namespace, empty: what an interrupted test left is removed first."""
        self.remove()
        until(lambda: not self._exists(), READY_SECONDS, f"namespace {self.namespace} of an earlier test to be gone")
        self.outside.core.create_namespace({"metadata": {"name": self.namespace}})

    def remove(self) -> None:
        """The namespace with everything in it; goes on behind."""
        with suppress(ApiException):
            self.outside.core.delete_namespace(self.namespace)

    # -- Deployments ---------------------------------------------------------------------------------------------------------------

    def deployment(self, name: str, revisions: int) -> None:
        """One that has run a pod of each revision, one after the other; complete."""
        body = {
            "metadata": {"name": name},
            "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": _template(name, 1)},
        }
        self.outside.apps.create_namespaced_deployment(self.namespace, body)
        self.complete(name, 1)
        for number in range(2, revisions + 1):
            self.roll(name, _template(name, number))
            self.complete(name, number)

    def roll(self, name: str, template: Body) -> None:
        """Give the Deployment another template, whole."""
        change = [{"op": "replace", "path": "/spec/template", "value": template}]
        self.outside.apps.patch_namespaced_deployment(name, self.namespace, change)

    def scale(self, name: str, replicas: int) -> None:
        """To so many pods; returns when they are so many."""
        self.outside.apps.patch_namespaced_deployment_scale(name, self.namespace, {"spec": {"replicas": replicas}})
        until(lambda: len(self.pods(f"app={name}")) == replicas, READY_SECONDS, f"{name} to have {replicas} pods")

    def complete(self, name: str, revision: int) -> None:
        """Wait until the Deployment runs exactly one ready pod, of that revision, and has seen so."""

        def done() -> bool:
            found = self.outside.apps.read_namespaced_deployment(name, self.namespace)
            status = found.status
            counts = (status.replicas, status.updated_replicas, status.ready_replicas, status.available_replicas)
            seen = status.observed_generation == found.metadata.generation
            return bool(
                seen
                and counts == (1, 1, 1, 1)
                and found.metadata.annotations[REVISION] == str(revision)
                and len(self.pods(f"app={name}")) == 1
            )

        until(done, READY_SECONDS, f"revision {revision} of {name} to be complete")

    def replica_sets(self, name: str) -> dict[int, Any]:
        """The Deployment's ReplicaSets by their revision."""
        found = self.outside.apps.list_namespaced_replica_set(self.namespace, label_selector=f"app={name}").items
        return {int(one.metadata.annotations[REVISION]): one for one in found if one.metadata.deletion_timestamp is None}

    def template_of(self, name: str, revision: int) -> Body:
        """What `kubectl rollout undo --to-revision` would write back: that revision's template as it stands in its ReplicaSet."""
        found = self.replica_sets(name)[revision].spec.template
        body: Body = self.outside.apps.api_client.sanitize_for_serialization(found)
        del body["metadata"]["labels"][HASH]
        return body

    # -- Jobs and pods -------------------------------------------------------------------------------------------------------------

    def job(self, name: str, command: str, owner: Body | None = None, **spec: Any) -> None:
        """A Job of one container."""
        owners = {"ownerReferences": [owner]} if owner else {}
        pod = {"restartPolicy": "Never", **_pod_spec(command)}
        body = {"metadata": {"name": name, **owners}, "spec": {"backoffLimit": 0, "template": {"spec": pod}, **spec}}
        self.outside.batch.create_namespaced_job(self.namespace, body)

    def cron_job(self, name: str, **spec: Any) -> Body:
        """One whose time never comes; returns the reference with which its Jobs name it."""
        template = {"spec": {"template": {"spec": {"restartPolicy": "Never", **_pod_spec("true")}}}}
        body = {"metadata": {"name": name}, "spec": {"schedule": "0 0 29 2 1", "suspend": True, "jobTemplate": template, **spec}}
        made = self.outside.batch.create_namespaced_cron_job(self.namespace, body)
        return {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": made.metadata.uid, "controller": True}

    def jobs(self) -> dict[str, Any]:
        """Every Job by its name."""
        return {one.metadata.name: one for one in self.outside.batch.list_namespaced_job(self.namespace).items}

    def ended(self, *names: str) -> None:
        """Wait until these Jobs have ended by their conditions."""

        def done() -> bool:
            found = self.jobs()
            said = [{c.type for c in found[name].status.conditions or [] if c.status == "True"} for name in names]
            return all(types & {"Complete", "Failed"} for types in said)

        until(done, READY_SECONDS, f"Jobs {', '.join(names)} to have ended")

    def pod(self, name: str, command: str, **spec: Any) -> None:
        """A pod without a controller, which is not started again."""
        body = {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", **_pod_spec(command), **spec}}
        self.outside.core.create_namespaced_pod(self.namespace, body)

    def pods(self, labels: str = "") -> dict[str, Any]:
        """Every pod by its name, also one that is going."""
        return {one.metadata.name: one for one in self.outside.core.list_namespaced_pod(self.namespace, label_selector=labels).items}

    def phases(self, wanted: Mapping[str, str]) -> None:
        """Wait until these pods are in these phases."""

        def done() -> bool:
            found = self.pods()
            return all(name in found and found[name].status.phase == phase for name, phase in wanted.items())

        until(done, READY_SECONDS, f"the phases {dict(wanted)}")

    def leftovers(self, names: Sequence[str], phase: str) -> None:
        """Many pods that no node takes, in that phase: nothing of them runs, and their deletion is done at once."""

        def one(name: str) -> None:
            self.pod(name, "true", nodeSelector={"gsv-ops-tests/none": "none"})
            if phase != "Pending":
                status = {"status": {"phase": phase, "startTime": "2026-01-01T00:00:00Z"}}
                self.outside.core.patch_namespaced_pod_status(name, self.namespace, status)

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(one, names))

    def _exists(self) -> bool:
        return any(one.metadata.name == self.namespace for one in self.outside.core.list_namespace().items)


def _template(name: str, number: int) -> Body:
    return {
        "metadata": {"labels": {"app": name}},
        "spec": _pod_spec("sleep 3600", env=[{"name": "NUMBER", "value": str(number)}]),
    }


def _pod_spec(command: str, **more: Any) -> Body:
    container = {"name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent", "command": ["sh", "-c", command], **more}
    return {"terminationGracePeriodSeconds": 0, "containers": [container]}
