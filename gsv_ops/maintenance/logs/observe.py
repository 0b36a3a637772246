"""What containers' logs take on each node, as its kubelet counts it, and when the kubelet rotates them.

It is asked through nodes/proxy by an identity of its own (`kube/acting.py`): the desk's has no such right.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.quantity import bytes_of
from gsv_ops.kube.resources import NODE
from gsv_ops.maintenance.seen import Unknown

SIMULATED = "kwok.x-k8s.io/node"
ENTER_SECONDS = 10.0
ALL_ENTERED_SECONDS = 120.0
DU = ("du", "-s", "-k", "/var/log")


@dataclass(frozen=True)
class Rotation:
    """When the kubelet begins a new file, and how many it keeps of each container."""

    size: int
    files: int

    @property
    def limit(self) -> int:
        """The most that one container's logs should take."""
        return self.size * self.files


@dataclass(frozen=True)
class ContainerLog:
    """What one container's log files take on its node. `key` stays the same as long as the container's pod lives."""

    node: str
    namespace: str
    pod: str
    pod_uid: str
    container: str
    bytes: int
    written: int | None = None

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.pod_uid}/{self.container}"

    @property
    def name(self) -> str:
        return f"{self.namespace}/{self.pod}/{self.container}"


@dataclass(frozen=True)
class NodeLogs:
    """One node: its containers' logs, its disk, and its rotation, as far as its kubelet told."""

    node: str
    containers: tuple[ContainerLog, ...]
    disk: int
    rotation: Rotation | Unknown

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in self.containers)


@dataclass(frozen=True)
class Simulated:
    """A node that is none: it has no kubelet, and no logs."""

    node: str


SeenNode = NodeLogs | Simulated | Unknown


def nodes(kube: Kube) -> list[Object]:
    """Raises KubeError: without the nodes there is nothing to tell."""
    return sorted(kube.list(NODE), key=objects.name)


def look(kube: Kube, node: Object) -> SeenNode:
    """What the node's kubelet tells. `kube` may get nodes/proxy."""
    name = objects.name(node)
    if objects.annotations(node).get(SIMULATED) == "fake":
        return Simulated(name)
    try:
        return NodeLogs(name, *_summary(name, kube.ask_node(name, "stats/summary")), _rotation(kube, name))
    except KubeError as problem:
        return Unknown(f"node {name}: {problem}")


def enter(kube: Kube, logs: Sequence[ContainerLog], now: Callable[[], float] = time.monotonic) -> dict[str, int | str]:
    """By key: bytes below /var/log inside the container, or why that is not known. A container without a shell's tools is no error."""
    found: dict[str, int | str] = {}
    end = now() + ALL_ENTERED_SECONDS
    for one in logs:
        if now() > end:
            found[one.key] = "not looked at: the time for all of them was up"
            continue
        try:
            result = kube.exec(one.namespace, one.pod, one.container, DU, timeout=ENTER_SECONDS)
        except KubeError as problem:
            found[one.key] = f"not known: {problem.reason}; it may have no du"
            continue
        first = result.stdout.split()
        # du counts what it may read, and says by its exit code that there was more
        found[one.key] = int(first[0]) * 1024 if first and first[0].isdigit() else "not known: du told nothing"
    return found


def _summary(node: str, body: Object) -> tuple[tuple[ContainerLog, ...], int]:
    containers = []
    for pod in at(body, "pods", default=[]):
        reference = at(pod, "podRef", default={})
        for container in at(pod, "containers", default=[]):
            used = at(container, "logs", "usedBytes")
            if used is not None:
                identity = (str(reference.get("namespace")), str(reference.get("name")), str(reference.get("uid")))
                containers.append(
                    ContainerLog(node, *identity, str(container.get("name")), int(used), at(container, "rootfs", "usedBytes"))
                )
    return tuple(containers), int(at(body, "node", "fs", "capacityBytes", default=0))


def _rotation(kube: Kube, node: str) -> Rotation | Unknown:
    try:
        settings = at(kube.ask_node(node, "configz"), "kubeletconfig", default={})
        return Rotation(bytes_of(settings["containerLogMaxSize"]), int(settings["containerLogMaxFiles"]))
    except KubeError as problem:
        return Unknown(str(problem))
    except (KeyError, ValueError) as problem:
        return Unknown(f"node {node}: its kubelet's configuration is not as expected ({problem})")
