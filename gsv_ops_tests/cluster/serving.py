"""A real Deployment behind a real Service, and a client that calls it without pause and counts what it gets."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from gsv_sandbox.images import BUSYBOX
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.outside import Outside, until

NAMESPACE = "sso"
"""A namespace of the platform in which nothing else runs here."""
PORT = 8080
BEARS = 50
READY_SECONDS = 60


@dataclass
class Calls:
    """What a client got: how many answers, and its errors by kind, each with when it came."""

    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)


def container(*, careful: bool = True, start_seconds: int = 0) -> dict[str, Any]:
    """busybox's httpd, which ends where it asks for more cpu than it can bear.

    `careful`: it gets calls only when it serves, and is left for a while before it ends.
    """
    bears = f'if [ "$ASKED" -gt {BEARS} ]; then echo "cannot bear ${{ASKED}}m of cpu"; exit 1; fi'
    serve = f"{bears}; mkdir -p /tmp/www && echo well > /tmp/www/index.html && sleep {start_seconds} && exec httpd -f -p {PORT} -h /tmp/www"
    body: dict[str, Any] = {"name": "web", "image": BUSYBOX, "command": ["sh", "-c", serve], "ports": [{"containerPort": PORT}]}
    asked = {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}
    body["env"] = [{"name": "ASKED", "valueFrom": asked}]
    body["resources"] = {"requests": {"cpu": "10m", "memory": "8Mi"}}
    if careful:
        body["readinessProbe"] = {"httpGet": {"path": "/", "port": PORT}, "periodSeconds": 1}
        body["lifecycle"] = {"preStop": {"sleep": {"seconds": 4}}}
    return body


def deployment(name: str, one: dict[str, Any], replicas: int = 2, **rolling: Any) -> dict[str, Any]:
    """A Deployment of such containers."""
    spec: dict[str, Any] = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}}
    spec["strategy"] = {"type": "RollingUpdate", "rollingUpdate": rolling or {"maxSurge": 1, "maxUnavailable": 0}}
    pods = {"terminationGracePeriodSeconds": 6 if "lifecycle" in one else 0, "containers": [one]}
    spec["template"] = {"metadata": {"labels": {"app": name}}, "spec": pods}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


@contextmanager
def served(outside: Outside, body: dict[str, Any]) -> Iterator[str]:
    """The Deployment, ready, behind a Service; its address. Both are gone afterwards."""
    name = body["metadata"]["name"]
    ports = [{"port": PORT, "targetPort": PORT}]
    try:
        outside.apps.create_namespaced_deployment(NAMESPACE, body)
        service = outside.core.create_namespaced_service(
            NAMESPACE, {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": ports}}
        )
        until(lambda: complete(outside, name), READY_SECONDS, f"Deployment {name} to be ready")
        address = str(service.spec.cluster_ip)
        until(lambda: _answer(address) == "", READY_SECONDS, f"Service {name} to answer")
        yield address
    finally:
        for delete in (outside.apps.delete_namespaced_deployment, outside.core.delete_namespaced_service):
            # the first may not have been made; what is still there is noticed below
            with suppress(ApiException):
                delete(name, NAMESPACE)
        until(lambda: not pods(outside, name), 60, f"the pods of {name} to be gone")


@contextmanager
def calling(address: str) -> Iterator[Calls]:
    """Calls without pause, each on a connection of its own, for as long as the context lasts."""
    calls, end = Calls(), threading.Event()

    def call() -> None:
        while not end.is_set():
            if problem := _answer(address):
                calls.errors[problem] += 1
            else:
                calls.answers += 1
            time.sleep(0.02)

    client = threading.Thread(target=call)
    client.start()
    try:
        yield calls
    finally:
        end.set()
        client.join()


def complete(outside: Outside, name: str) -> bool:
    """Whether the Deployment's controller says that all is new and available."""
    body = outside.apps.read_namespaced_deployment(name, NAMESPACE)
    status, count = body.status, body.spec.replicas
    settled = status.observed_generation == body.metadata.generation and (status.replicas or 0) == count
    return bool(settled and (status.updated_replicas or 0) == (status.available_replicas or 0) == count)


def pods(outside: Outside, name: str) -> set[str]:
    """The uids of its pods."""
    return {pod.metadata.uid for pod in outside.core.list_namespaced_pod(NAMESPACE, label_selector=f"app={name}").items}


def _answer(address: str) -> str:
    """What went wrong with one call; empty if it was answered well."""
    connection = http.client.HTTPConnection(address, PORT, timeout=3)
    try:
        connection.request("GET", "/index.html")
        response = connection.getresponse()
        return "" if response.status == 200 and response.read() == b"well\n" else f"status {response.status}"
    except (OSError, http.client.HTTPException) as problem:
        return type(problem).__name__
    finally:
        connection.close()
