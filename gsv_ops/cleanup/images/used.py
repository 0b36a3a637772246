"""Which images somebody needs, by name: what pods run, and what any template may start again tomorrow. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import CONFIG_MAP, CRON_JOB, POD, POSTGRES_CLUSTER
from gsv_ops.platform.spec import ImageSettings

CONTAINERS = ("containers", "initContainers", "ephemeralContainers")
STATUSES = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
HUB, LIBRARY = "docker.io", "library"
ENDED = ("Succeeded", "Failed")
TAG = re.compile(r":[\w.-]+$")
IMAGE = re.compile(r"\w[\w.-]*(:\d+)?(/[\w.-]+)*(:[\w.-]+)?(@sha256:[0-9a-f]{64})?")

NAMED = re.compile(r"""(?:^|[\s,{])["']?image["']?:\s*["']?(?P<image>[^\s"',#]+)""", re.MULTILINE)
"""Where a pod is kept as text, such as a template that a program starts pods from."""

Users = Mapping[str, Sequence[str]]
"""An image's name in full, or the id of one that runs -> who needs it."""


def names(reference: str) -> set[str]:
    """The names in full that a reference stands for: `busybox` is `docker.io/library/busybox:latest`. Empty for what names none."""
    reference = reference.rpartition("://")[2]
    name, _, digest = reference.partition("@")
    if not name or name.startswith("sha256:"):
        return set()
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"{HUB}/{LIBRARY}/{name}"
    elif not (set(".:") & set(first) or first == "localhost"):
        name = f"{HUB}/{name}"
    tagged = TAG.search(name.rpartition("/")[2]) is not None
    bare = TAG.sub("", name) if tagged else name
    found = {f"{bare}@{digest}"} if digest else set()
    if tagged or not digest:
        found.add(name if tagged else f"{name}:latest")
    return found


def users(bodies: Iterable[Object]) -> Users:
    """By whom each image is needed: pods that have not ended, workloads' templates, database clusters, pods kept as text in a ConfigMap.

    Old ReplicaSets count too.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for body in bodies:
        who = f"{body['kind']} {objects.namespace(body)}/{objects.name(body)}"
        for name in {name for reference in _references(body) for name in names(reference) or _ids(reference)}:
            found[name].append(who)
    return found


def why_kept(image: Sequence[str], needed: Users, keep: Sequence[str], id: str = "", pinned: bool = False) -> str:
    """Why the image with these names stays; empty if nothing that was looked at needs it."""
    own = {name for reference in image for name in names(reference)}
    if pinned:
        return "it is pinned on the node"
    if not own and not id:
        return "it has no name, so who needs it cannot be told"
    for pattern in keep:
        if any(fnmatchcase(name, pattern) for name in (*own, *image)):
            return f"it is to be kept: cleanup.images.keep has {pattern}"
    for name in sorted({*own, *_ids(id)}):
        if who := needed.get(name):
            more = f" and {len(who) - 1} more" if len(who) > 1 else ""
            return f"{who[0]}{more} needs it"
    return ""


def kept_by(settings: ImageSettings) -> tuple[str, ...]:
    """The patterns of what is to be kept: what platform.yaml says, and what the runtimes are asked with."""
    return (*settings.keep, *sorted(names(settings.runtime.image or "")))


def _ids(reference: str) -> set[str]:
    """The id that a running container's status tells in place of a name, where its image was imported and not pulled."""
    reference = reference.rpartition("://")[2]
    return {reference} if reference.startswith("sha256:") else set()


def _references(body: Object) -> Iterator[str]:
    if body["kind"] == POSTGRES_CLUSTER.kind:
        yield from (str(image) for image in (at(body, "spec", "imageName"), at(body, "status", "image")) if image)
        return
    if body["kind"] == CONFIG_MAP.kind:
        kept = at(body, "data", default={}).values()
        yield from (value for text in kept for value in NAMED.findall(str(text)) if IMAGE.fullmatch(value))
        return
    if body["kind"] == POD.kind:
        if at(body, "status", "phase") in ENDED:
            return
        pod = at(body, "spec", default={})
        # what really runs: a tag may have moved since
        yield from (str(status["imageID"]) for kind in STATUSES for status in at(body, "status", kind, default=[]) if status.get("imageID"))
    elif body["kind"] == CRON_JOB.kind:
        pod = at(body, "spec", "jobTemplate", "spec", "template", "spec", default={})
    else:
        pod = at(body, "spec", "template", "spec", default={})
    for container in (one for kind in CONTAINERS for one in at(pod, kind, default=[])):
        texts = [container.get("image"), *(container.get("command") or ()), *(container.get("args") or ())]
        texts += [entry.get("value") for entry in container.get("env") or ()]
        # an operator is told by an argument or a variable which images it is to run
        yield from (value for text in texts if text and IMAGE.fullmatch(value := str(text).rpartition("=")[2]))
    # a volume may be an image
    yield from (str(ref) for volume in at(pod, "volumes", default=[]) if (ref := at(volume, "image", "reference")))
