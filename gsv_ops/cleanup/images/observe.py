"""The images on each node as its status or its runtime tells them, who may need one, and when the kubelet removes images by itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gsv_ops.kube import objects
from gsv_ops.kube.errors import Forbidden, KubeError, NotFound, NotServed
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.kube.resources import CONFIG_MAP, CRON_JOB, DAEMON_SET, DEPLOYMENT, JOB, NODE, POD, POSTGRES_CLUSTER, REPLICA_SET, STATEFUL_SET
from gsv_ops.operations.operation import Desk

SIMULATED = "kwok.x-k8s.io/node"
NEED_IMAGES = (POD, DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, CRON_JOB, JOB, POSTGRES_CLUSTER, CONFIG_MAP)
FEWEST_SHOWN = 50
"""So many images at most a node's status tells, unless the kubelet's nodeStatusMaxImages says otherwise; the largest."""


@dataclass(frozen=True)
class Image:
    """One image on a node: all its names, and its bytes as the node counts them. Layers that images share count for each.

    `id` and `pinned` only the runtime tells.
    """

    names: tuple[str, ...]
    bytes: int
    id: str = ""
    pinned: bool = False

    @property
    def name(self) -> str:
        """As people know it: its tag if it has one."""
        return next((name for name in reversed(self.names) if "@" not in name), self.names[-1] if self.names else self.id)

    @property
    def pulled(self) -> bool:
        """Whether it came from a registry, which then has it under its digest; what was imported by hand has none."""
        return any("@sha256:" in name for name in self.names)


@dataclass(frozen=True)
class Collection:
    """When the kubelet removes unused images: above `high` percent of the disk, until `low` is reached, none younger than `youngest`.

    `oldest`: unused for so long an image goes in any case (0s: never). `used`, `size`: bytes of the images' disk.
    """

    high: int
    low: int
    youngest: str
    oldest: str
    shown: int
    used: int
    size: int

    @property
    def percent(self) -> float:
        """Of the disk that is full."""
        return 100 * self.used / self.size


@dataclass(frozen=True)
class NodeImages:
    """One real node. `collection` is why it is not known, where it is a string.

    `runtime`: told by the runtime itself; a string says why that was not asked, or did not answer.
    """

    node: str
    images: tuple[Image, ...]
    collection: Collection | str
    runtime: bool | str = ""

    @property
    def cut(self) -> bool:
        """Whether there may be more images than were told."""
        if self.runtime is True:
            return False
        limit = FEWEST_SHOWN if isinstance(self.collection, str) else self.collection.shown
        return 0 <= limit <= len(self.images)


def nodes(kube: Kube) -> tuple[list[Object], list[str]]:
    """The real nodes, and the names of those that are only simulated. Raises KubeError."""
    found = sorted(kube.list(NODE), key=objects.name)
    fake = [objects.name(body) for body in found if objects.annotations(body).get(SIMULATED) == "fake"]
    return [body for body in found if objects.name(body) not in fake], fake


def need_images(kube: Kube) -> list[Object]:
    """Whatever may need an image, in every namespace. Raises KubeError: without it, nothing may be called unused."""
    return [body for resource in NEED_IMAGES for body in _all(kube, resource)]


def node_images(node: Object, collection: Collection | str, runtime: Sequence[Image] | str = "") -> NodeImages:
    """What the node's runtime tells; where `runtime` says why it does not, what the node's status tells."""
    if not isinstance(runtime, str):
        return NodeImages(objects.name(node), tuple(runtime), collection, runtime=True)
    told = at(node, "status", "images", default=[])
    images = (Image(tuple(image.get("names") or ()), int(image.get("sizeBytes") or 0)) for image in told)
    return NodeImages(objects.name(node), tuple(sorted(images, key=lambda image: -image.bytes)), collection, runtime)


def collections(desk: Desk, names: Sequence[str]) -> dict[str, Collection | str]:
    """By node's name; read as the ServiceAccount that may read kubelets, where the environment enables that."""
    settings = desk.spec.reports.logs
    if not settings.enabled:
        return dict.fromkeys(names, "reading kubelets is not enabled for this environment (reports.logs.enabled in platform.yaml)")
    try:
        with desk.kube.acting_as(desk.spec.desk.lease_namespace, settings.service_account) as kube:
            return {name: collection(kube, name) for name in names}
    except (Forbidden, NotFound) as problem:
        return dict.fromkeys(names, f"we cannot act as ServiceAccount {settings.service_account}: {problem}")


def collection(kube: Kube, node: str) -> Collection | str:
    """The kubelet's settings and its images' disk, or why they are not known. `kube` may get nodes/proxy."""
    try:
        settings = at(kube.ask_node(node, "configz"), "kubeletconfig", default={})
        disk = at(kube.ask_node(node, "stats/summary"), "node", "runtime", "imageFs", default={})
        found = Collection(
            int(settings["imageGCHighThresholdPercent"]),
            int(settings["imageGCLowThresholdPercent"]),
            str(settings["imageMinimumGCAge"]),
            str(settings.get("imageMaximumGCAge", "0s")),
            int(settings.get("nodeStatusMaxImages", FEWEST_SHOWN)),
            # other things may fill the same disk
            int(disk["capacityBytes"]) - int(disk["availableBytes"]),
            int(disk["capacityBytes"]),
        )
    except KubeError as problem:
        return str(problem)
    except (KeyError, ValueError) as problem:
        return f"its kubelet's configuration is not as expected ({problem})"
    return found if found.size > 0 else "its kubelet does not tell the size of the images' disk"


def _all(kube: Kube, resource: Resource) -> Sequence[Object]:
    kinds = {"apiVersion": resource.api_version, "kind": resource.kind}
    try:
        return [{**kinds, **body} for body in kube.list(resource)]
    except NotServed:
        return []
