"""A Deployment on a bare control plane: a node with room, and a controller that does what the real ones do, as far as a rollout shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any
from uuid import uuid4

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import DEPLOYMENT, NODE, POD, REPLICA_SET
from gsv_ops_tests.fake_kube import FakeKube

IMAGE = "none.invalid/web"


def with_status(kube: Kube, made: Object, status: Object) -> Object:
    """The stored object with that status."""
    if isinstance(kube, FakeKube):
        return kube.put({**made, "status": status})
    return kube.patch(resources.of(made), objects.name(made), objects.namespace(made), {"status": status}, subresource="status")


def node(kube: Kube, name: str = "n1", cpu: str = "4", memory: str = "8Gi", pods: str = "110") -> None:
    """A ready node, made once."""
    body: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    with suppress(errors.AlreadyExists):
        kube.create(body)
        # with which a new node begins, until a controller has seen it ready
        made = kube.patch(NODE, name, None, {"spec": {"taints": None}})
        ready = [{"type": "Ready", "status": "True", "reason": "KubeletReady"}]
        with_status(kube, made, {"allocatable": {"cpu": cpu, "memory": memory, "pods": pods}, "conditions": ready})


def deployment(namespace: str, name: str = "web", replicas: int = 2, *, strategy: Object | None = None, **metadata: Any) -> Object:
    """One whose pods ask for a little, and count as serving only when they say so."""
    probe = {"httpGet": {"path": "/", "port": 80}}
    container = {"name": "web", "image": IMAGE, "ports": [{"containerPort": 80}], "readinessProbe": probe}
    container |= {"lifecycle": {"preStop": {"sleep": {"seconds": 2}}}, "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}}
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "strategy": strategy or {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


class Controller:
    """Keeps the Deployments of one namespace as their specs say, in the background.

    A template that `breaks` gets no ready pods; a Deployment that it is `blind` for is left alone.
    """

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube, self._namespace, self._end = kube, namespace, threading.Event()
        self.breaks: Callable[[Object], bool] = lambda template: False
        self.blind: Callable[[Object], bool] = lambda body: False

    def settle(self) -> None:
        """One look at everything."""
        for body in self._kube.list(DEPLOYMENT, self._namespace):
            with suppress(errors.Conflict, errors.NotFound):
                if not self.blind(body):
                    self._one(body)

    def run(self) -> None:
        while not self._end.wait(0.05):
            self.settle()

    def end(self) -> None:
        self._end.set()

    def _one(self, body: Object) -> None:
        kube, namespace, name = self._kube, self._namespace, objects.name(body)
        template, wanted = body["spec"]["template"], int(at(body, "spec", "replicas", default=1))
        mark = json.dumps(template, sort_keys=True)
        owner = self._replica_set(body)
        pods = [p for p in kube.list(POD, namespace) if (o := objects.controller(p)) and o.uid == objects.uid(owner)]
        new = [p for p in pods if objects.annotations(p)["test/template"] == mark]
        broken = self.breaks(template)
        for _ in range(wanted - len(new)):
            new.append(self._pod(owner, template, mark, broken))
        # old ones go once the new ones serve; of too many new ones the last go
        gone = ([] if broken else [p for p in pods if p not in new]) + new[wanted:]
        for pod in gone:
            kube.delete(POD, objects.name(pod), namespace, uid=objects.uid(pod))
        old = len(pods) - len([p for p in pods if p in new]) if broken else 0
        count, ready = wanted + old, old if broken else wanted
        status = {"observedGeneration": body["metadata"]["generation"], "replicas": count, "updatedReplicas": wanted}
        status |= {"readyReplicas": ready, "availableReplicas": ready}
        if {k: v for k, v in body.get("status", {}).items() if v} != {k: v for k, v in status.items() if v}:
            patch = {"metadata": {"resourceVersion": objects.resource_version(body)}, "status": status}
            kube.patch(DEPLOYMENT, name, namespace, patch, subresource="status")

    def _replica_set(self, body: Object) -> Object:
        name = f"{objects.name(body)}-set"
        with suppress(errors.NotFound):
            return self._kube.get(REPLICA_SET, name, self._namespace)
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": objects.name(body), "uid": objects.uid(body), "controller": True}
        metadata = {
            "name": name,
            "namespace": self._namespace,
            "labels": body["spec"]["selector"]["matchLabels"],
            "ownerReferences": [owner],
        }
        spec = {"replicas": 0, "selector": body["spec"]["selector"], "template": body["spec"]["template"]}
        return self._kube.create({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": metadata, "spec": spec})

    def _pod(self, owner: Object, template: Object, mark: str, broken: bool) -> Object:
        reference = {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "name": objects.name(owner),
            "uid": objects.uid(owner),
            "controller": True,
        }
        annotations = {**objects.annotations(template), "test/template": mark}
        metadata = {"name": f"{objects.name(owner)}-{uuid4().hex[:6]}", "namespace": self._namespace, "labels": objects.labels(template)}
        body: Object = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {**metadata, "annotations": annotations, "ownerReferences": [reference]},
        }
        made = self._kube.create({**body, "spec": template["spec"]})
        waiting = {"name": "web", "ready": False, "restartCount": 3, "image": IMAGE, "imageID": ""}
        waiting["state"] = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
        waiting["lastState"] = {"terminated": {"exitCode": 1, "reason": "Error"}}
        ready = [{"type": "Ready", "status": "False" if broken else "True"}]
        return with_status(
            self._kube, made, {"phase": "Running", "conditions": ready, **({"containerStatuses": [waiting]} if broken else {})}
        )


@contextmanager
def controller(kube: Kube, namespace: str) -> Iterator[Controller]:
    """A controller at work."""
    found = Controller(kube, namespace)
    thread = threading.Thread(target=found.run)
    thread.start()
    try:
        yield found
    finally:
        found.end()
        thread.join()
