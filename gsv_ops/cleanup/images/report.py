"""image_report: what the images on each node take, which of them nothing needs, and what the kubelet does about it by itself."""

from __future__ import annotations

from collections.abc import Sequence

from gsv_ops.cleanup.images import observe, runtime, used
from gsv_ops.cleanup.images.observe import Collection, Image, NodeImages
from gsv_ops.cleanup.images.used import Users
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Check, Desk, Fact, Params, Table
from gsv_ops.operations.reporting import Before, Found, Report

KNOWN, BELOW = "images_of_every_node_are_known", "image_disk_is_below_its_threshold"
ADVICE = (
    "a kubelet removes unused images by itself, oldest first, once their disk is fuller than imageGCHighThresholdPercent, until it is down "
    "to imageGCLowThresholdPercent; imageMaximumGCAge also removes what was unused for so long. Change these rather than remove images by "
    "hand: `crictl rmi --prune` races with starting pods, and has removed pinned images. Where that is not enough: the job prune_images"
)
NOBODY = "no pod, no template, no database cluster and no ConfigMap names it"
UNSEEN = "which image is a program's own default; keep such by cleanup.images.keep"
UNASKED = "whether an image is pinned, and small ones where there are many: only a node's runtime knows (cleanup.images.runtime.image)"


class ImageReport(Params):
    """Nothing to choose."""


def look(desk: Desk, params: ImageReport, before: Before) -> Found:
    """Raises KubeError where nodes, or what may need an image, cannot be read."""
    real, fake = observe.nodes(desk.kube)
    collections = observe.collections(desk, [objects.name(body) for body in real])
    nodes = [observe.node_images(body, collections[objects.name(body)], _runtime(desk, body)) for body in real]
    return found(nodes, fake, used.users(observe.need_images(desk.kube)), used.kept_by(desk.spec.cleanup.images))


def found(nodes: Sequence[NodeImages], fake: Sequence[str], needed: Users, keep: Sequence[str]) -> Found:
    """Pure: from what the nodes told, and who needs what."""
    rows: list[dict[str, str | int | float]] = []
    going: list[dict[str, str | int | float]] = []
    staying: list[dict[str, str | int | float]] = []
    for node in nodes:
        judged = [(image, used.why_kept(image.names, needed, keep, image.id, image.pinned)) for image in node.images]
        free = [image for image, why in judged if not why]
        rows.append(
            {
                "node": node.node,
                "images": len(node.images),
                "told by": "its runtime" if node.runtime is True else "its status",
                "bytes": sum(image.bytes for image in node.images),
                "nothing needs": len(free),
                "bytes of these": sum(image.bytes for image in free),
                **_shown(node.collection),
            }
        )
        for image, why in judged:
            row: dict[str, str | int | float] = {
                "node": node.node,
                "image": image.name or "without a name",
                "bytes": image.bytes,
            }
            (staying if why else going).append({**row, "why": why or NOBODY})
    unknown = [problem for node in nodes for problem in _unknown(node)]
    count, size = sum(int(row["nothing needs"]) for row in rows), sum(int(row["bytes of these"]) for row in rows)
    facts: dict[str, Fact] = {
        "nodes": Table(rows),
        "what nothing needs": Table(sorted(going, key=lambda row: -int(row["bytes"]))),
        "what stays": Table(staying),
        "what to do": ADVICE,
        "not looked at": UNSEEN if all(node.runtime is True for node in nodes) else f"{UNASKED}; {UNSEEN}",
        "images": sum(len(node.images) for node in nodes),
        "bytes": sum(image.bytes for node in nodes for image in node.images),
        "images that nothing needs": count,
        "bytes that nothing needs": size,
    }
    told = [node.collection.percent for node in nodes if isinstance(node.collection, Collection)]
    if told:
        facts["fullest image disk in percent"] = round(max(told), 1)
    said = f"nothing needs {count} of {facts['images']} images on {len(nodes)} nodes, {size} bytes"
    said += f"; simulated, so without images: {', '.join(fake)}" if fake else ""
    said += f"; not known: {'; '.join(unknown)}" if unknown else ""
    return Found(said, facts, [_known(nodes, unknown), _below(nodes)])


def _runtime(desk: Desk, node: Object) -> Sequence[Image] | str:
    """The images as the node's runtime tells them, or why it does not; empty where it is not to be asked."""
    if desk.spec.cleanup.images.runtime.image is None:
        return ""
    return runtime.images_or_why_not(desk, IMAGE_REPORT.name, node)


def _shown(collection: Collection | str) -> dict[str, str | float]:
    columns = ("disk in percent", "removes above percent", "until percent", "none younger than", "any unused for")
    if isinstance(collection, str):
        return dict.fromkeys(columns, "not known")
    oldest = "never" if collection.oldest in ("0s", "") else collection.oldest
    values = (round(collection.percent, 1), collection.high, collection.low, collection.youngest, oldest)
    return dict(zip(columns, values, strict=True))


def _unknown(node: NodeImages) -> list[str]:
    found = []
    if isinstance(node.collection, str):
        found.append(f"node {node.node}, when its kubelet removes images: {node.collection}")
    if node.runtime and node.runtime is not True:
        found.append(f"node {node.node}, what its runtime has: {node.runtime}")
    if not node.images:
        found.append(f"node {node.node} tells no images")
    elif node.cut:
        found.append(f"node {node.node} tells its {len(node.images)} largest images only (nodeStatusMaxImages)")
    return found


def _known(nodes: Sequence[NodeImages], unknown: Sequence[str]) -> Check:
    if unknown or not nodes:
        return Check(KNOWN, False, f"unknown: {'; '.join(unknown) or 'there is no real node'}", "WARN")
    return Check(KNOWN, True, f"{len(nodes)} nodes told", "WARN")


def _below(nodes: Sequence[NodeImages]) -> Check:
    known = [(node.node, node.collection) for node in nodes if isinstance(node.collection, Collection)]
    over = [f"{name}: {one.percent:.0f} %, the kubelet removes above {one.high} %" for name, one in known if one.percent > one.high]
    if over:
        return Check(BELOW, False, f"{'; '.join(over)}: what the kubelet could remove is not enough, or other things fill the disk", "WARN")
    if len(known) < len(nodes) or not nodes:
        return Check(BELOW, False, f"unknown for {len(nodes) - len(known)} of {len(nodes)} nodes", "WARN")
    return Check(BELOW, True, f"at most {max(one.percent for _, one in known):.0f} % of an image disk are full", "WARN")


IMAGE_REPORT = Report(
    name="image_report",
    description="""
What the images on each node take, which of them nothing needs, and when the kubelet removes such by itself.

**When to run:** when a node's disk fills; by itself every week. When the kubelets remove images is told only where
`reports.logs.enabled` is set for the environment.
**What it changes:** nothing; the tables stand on the asset `cleanup/images`. Where platform.yaml names a client for the nodes' runtimes
(`cleanup.images.runtime.image`), a short Job on each node asks for its list; elsewhere the node's status tells its largest images, and
nothing of what is pinned. An image that a pod, a workload's template, an old ReplicaSet, a CronJob, a database cluster or a pod's template
in a ConfigMap names is needed, also where none of its pods runs now.
**How to undo:** nothing to undo.
""",
    params=ImageReport,
    look=look,
    checks={
        KNOWN: "Every node told all its images, and when its kubelet removes unused ones.",
        BELOW: "No node's image disk is fuller than the threshold above which its kubelet removes unused images.",
    },
)
