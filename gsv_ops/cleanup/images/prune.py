"""prune_images: images that nothing needs go from nodes whose images' disk is fuller than a threshold, as a plan that was read says."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from pydantic import Field, model_validator

from gsv_ops.cleanup import pruning
from gsv_ops.cleanup.images import observe, removal, runtime, used
from gsv_ops.cleanup.images.observe import Collection, Image, NodeImages
from gsv_ops.cleanup.images.report import NOBODY
from gsv_ops.cleanup.images.used import Users
from gsv_ops.kube import objects
from gsv_ops.kube.resources import NODE
from gsv_ops.operations.operation import Desk, Operation, OperationFailed, Params, PlanFrame
from gsv_ops.operations.plan import Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import ImageSettings, PlatformSpec

NAME = "prune_images"
OWN = -1
"""A threshold that is platform.yaml's."""


class PruneImages(Params):
    """What an operator may choose."""

    node: str = Field(default="", description="Only this node. Empty: every real one.")
    images: str = Field(
        default="*", min_length=1, description="Only images of which a name in full fits this pattern, such as docker.io/library/*."
    )
    above_percent: int = Field(
        default=OWN,
        ge=OWN,
        le=100,
        description="Only nodes whose images' disk is fuller than this. 0: however full it is. -1: cleanup.images.above_percent.",
    )
    down_to_percent: int = Field(
        default=OWN,
        ge=OWN,
        le=100,
        description="No more goes than until so much of the disk is full. 0: whatever nothing needs. -1: cleanup.images.down_to_percent.",
    )
    imported: bool = Field(
        default=False,
        description="Also images that were imported and not pulled: no registry is known to have them, so nothing may bring them back.",
    )

    @model_validator(mode="after")
    def _order(self) -> PruneImages:
        if OWN not in (self.above_percent, self.down_to_percent) and self.down_to_percent > self.above_percent:
            raise ValueError(f"down_to_percent ({self.down_to_percent}) is above above_percent ({self.above_percent}): nothing would go")
        return self

    def limits(self, settings: ImageSettings) -> tuple[int, int]:
        """Above how many percent a node is pruned, and down to how many."""
        above = settings.above_percent if self.above_percent == OWN else self.above_percent
        down = settings.down_to_percent if self.down_to_percent == OWN else self.down_to_percent
        return above, down


@dataclass(frozen=True)
class Seen:
    """The nodes with their images as their runtimes told them, who needs which, the simulated ones, and why some could not be asked."""

    nodes: tuple[NodeImages, ...]
    needed: Users
    fake: tuple[str, ...] = ()
    unasked: tuple[tuple[str, str], ...] = ()


def observe_nodes(desk: Desk, params: PruneImages) -> Seen:
    """Raises OperationFailed where the environment has not enabled it, NotFound, KubeError where it is not known who needs images."""
    settings = desk.spec.cleanup.images
    if not settings.prune or settings.runtime.image is None:
        missing = "cleanup.images.prune: true" if not settings.prune else "cleanup.images.runtime.image: an image with a CRI client"
        raise OperationFailed(
            f"{NAME} is not enabled in environment {desk.environment!r}: it reaches the nodes' runtimes, whose sockets are nearly root",
            f"set {missing} in platform.yaml for this environment, once the ServiceAccount {settings.runtime.service_account} is there; "
            "docs/guide.md, 10.5",
        )
    if params.node:
        desk.kube.get(NODE, params.node)
    real, fake = observe.nodes(desk.kube)
    chosen = [body for body in real if params.node in ("", objects.name(body))]
    collections = observe.collections(desk, [objects.name(body) for body in chosen])
    asked = [(body, runtime.images_or_why_not(desk, NAME, body)) for body in chosen]
    nodes = [observe.node_images(body, collections[objects.name(body)], told) for body, told in asked if not isinstance(told, str)]
    unasked = [(objects.name(body), told) for body, told in asked if isinstance(told, str)]
    # last: what began to need an image meanwhile is seen
    return Seen(tuple(nodes), used.users(observe.need_images(desk.kube)), tuple(fake), tuple(unasked))


def plan(spec: PlatformSpec, seen: Seen, params: PruneImages, frame: PlanFrame, now: datetime) -> Plan:
    """A removal for each image that goes; every other is kept, with the reason."""
    settings = spec.cleanup.images
    above, down = params.limits(settings)
    actions: list[Action] = []
    kept = [Kept(_node(name), f"its runtime could not be asked, so nothing goes there: {why}") for name, why in seen.unasked]
    kept += [Kept(_node(name), "it is simulated, and has no images") for name in seen.fake if params.node in ("", name)]
    rows = []
    for node in seen.nodes:
        judged = [(image, _why_kept(image, seen.needed, settings, params)) for image in node.images]
        free = [image for image, why in judged if not why]
        going, rest = chosen(node, free, above, down)
        actions += [Action("delete", target(node.node, image), f"{image.bytes} bytes; {NOBODY}", _guard(image)) for image in going]
        kept += [Kept(target(node.node, image), why) for image, why in judged if why]
        kept += [Kept(target(node.node, image), rest) for image in free if image not in going]
        rows.append(_row(node, going, free))
    total = sum(len(node.images) for node in seen.nodes)
    return frame.plan(
        actions=tuple(actions),
        kept=tuple(kept),
        refused=(*pruning.too_much(NAME, len(actions), total, spec.cleanup), *_blind(seen)),
        facts={"above percent": above, "down to percent": down},
        seen=total,
        shown={"nodes": rows, "bytes that go, at most": sum(int(row["bytes that go"]) for row in rows), "how it is counted": COUNTED},
    )


COUNTED = (
    "layers that images share count for each of them, so the disk may get less back; the largest go first, since a runtime tells no age"
)


def chosen(node: NodeImages, free: Sequence[Image], above: int, down: int) -> tuple[list[Image], str]:
    """Of the images that may go those that do, the largest first, and why the others stay. Nothing where the disk is not known."""
    if above == 0 and down == 0:
        return list(free), ""
    disk = node.collection
    if not isinstance(disk, Collection):
        return [], f"how full the images' disk is, is not known ({disk}); with above_percent and down_to_percent 0 that does not matter"
    if disk.percent <= above:
        return [], f"nothing needs it, and the images' disk is {disk.percent:.0f} % full, not above {above} %"
    surplus, going = disk.used - disk.size * down / 100, list[Image]()
    for image in sorted(free, key=lambda one: (-one.bytes, one.id)):
        if sum(one.bytes for one in going) >= surplus:
            break
        going.append(image)
    return going, f"nothing needs it, and without it too the disk is to come down to {down} %"


def target(node: str, image: Image) -> Target:
    """The image as a plan names it: `Image node/name`."""
    return Target("cri", "Image", image.name, node, image.id)


def _why_kept(image: Image, needed: Users, settings: ImageSettings, params: PruneImages) -> str:
    if why := used.why_kept(image.names, needed, used.kept_by(settings), image.id, image.pinned):
        return why
    if not any(fnmatchcase(name, params.images) for name in image.names or (image.id,)):
        return f"nothing needs it, and it does not fit {params.images}"
    if not image.pulled and not params.imported:
        return (
            "nothing needs it, but it was imported and not pulled: it has no digest of a registry, so nothing may bring it back (imported)"
        )
    return ""


def _guard(image: Image) -> dict[str, Any]:
    return {"names": sorted(image.names), "pinned": False}


def _node(name: str) -> Target:
    return Target(NODE.api_version, NODE.kind, name)


def _row(node: NodeImages, going: Sequence[Image], free: Sequence[Image]) -> dict[str, str | int | float]:
    disk = node.collection
    return {
        "node": node.node,
        "disk in percent": round(disk.percent, 1) if isinstance(disk, Collection) else "not known",
        "images": len(node.images),
        "bytes": sum(image.bytes for image in node.images),
        "may go": len(free),
        "go": len(going),
        "bytes that go": sum(image.bytes for image in going),
    }


def _blind(seen: Seen) -> Iterator[Refused]:
    if seen.unasked and not seen.nodes:
        yield Refused(Target("gsv-ops", "Plan", NAME), f"no node's runtime could be asked: {seen.unasked[0][1]}")


PRUNE_IMAGES = Operation(
    name=NAME,
    description="""
Removes images that nothing needs from nodes whose images' disk is nearly full, the largest first, until it would be down to a threshold.

**When to run:** when `image_report` shows a node whose kubelet does not keep up; to change the kubelet's own thresholds is usually the
better answer. Off unless `cleanup.images.prune` is set for the environment. With `above_percent: 0` and `down_to_percent: 0` all that
nothing needs goes, however full the disk is.
**What it changes:** removes the images that the plan names from the nodes, by a short Job on each. Never one that is pinned, that
`cleanup.images.keep` names, or that a pod, a workload's template, an old ReplicaSet, a CronJob, a database cluster or a ConfigMap names;
that is asked anew right before. A pod that starts in that very moment pulls its image again. Planning runs a Job that only lists.
**How to undo:** there is no undo: a removed image is pulled again when a pod needs it. So one that was imported, and that no registry is
known to have, stays unless `imported` is set.
""",
    params=PruneImages,
    observe=observe_nodes,
    plan=plan,
    execute=removal.execute,
    verify=removal.verify,
    rerun="yes; what is gone stays gone, and what was left alone is judged anew.",
    look=removal.look,
    pool="cleanup",
    plan_required=True,
)
