"""A cluster of one node whose runtime answers the Jobs that ask it, as crictl would."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from upath import UPath

from gsv_ops.cleanup.images.observe import Image
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import JOB, POD, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.fake_kube.client import FakeKube

PLACE = "gsv-ops"
NODE = "n1"


class ARuntime(FakeKube):
    """`images` is what the node has; `deaf` says how a Job's pod ends instead of answering; `stuck` are ids that rmi does not remove."""

    def __init__(self, *images: Image) -> None:
        super().__init__(custom=[POSTGRES_CLUSTER])
        self.images = {image.id: image for image in images}
        self.asked: list[list[str]] = []
        self.deaf: dict[str, Any] = {}
        self.stuck: set[str] = set()
        self.acting = ""
        self._said = ""
        for namespace in (PLACE, "cmp"):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        self.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "status": ready})
        self.script(logs=lambda *_: self._said)

    @contextmanager
    def acting_as(self, namespace: str, account: str) -> Iterator[ARuntime]:
        self.acting = account
        try:
            yield self
        finally:
            self.acting = ""

    def create(self, body: Object, *, dry_run: bool = False) -> Object:
        made = super().create(body, dry_run=dry_run)
        if body["kind"] == JOB.kind:
            assert self.acting == "gsv-ops-images"
            command = body["spec"]["template"]["spec"]["containers"][0]["command"]
            self.asked.append(command)
            self._said = self._answered(command)
            name = made["metadata"]["name"]
            labels = {"batch.kubernetes.io/job-name": name}
            metadata = {"name": f"{name}-x", "namespace": PLACE, "labels": labels}
            spec = body["spec"]["template"]["spec"]
            status = self.deaf or {"phase": "Succeeded"}
            self.put({"apiVersion": "v1", "kind": POD.kind, "metadata": metadata, "spec": spec, "status": status})
            self.put({**made, "status": {"active": 1}})
        return made

    def jobs(self) -> list[Object]:
        """What is left of the Jobs."""
        return self.list(JOB)

    def _answered(self, command: list[str]) -> str:
        if command[1] == "rmi":
            gone = [id for id in command[2:] if id not in self.stuck]
            for id in gone:
                self.images.pop(id, None)
            return "".join(f"Deleted: {id}\n" for id in gone)
        return told(*self.images.values())


def told(*images: Image) -> str:
    """As `crictl images -o json` prints them."""
    rows = [
        {
            "id": image.id,
            "repoTags": [name for name in image.names if "@" not in name],
            "repoDigests": [name for name in image.names if "@" in name],
            "size": str(image.bytes),
            "pinned": image.pinned,
        }
        for image in images
    ]
    return json.dumps({"images": rows}, indent=2)


def desk(kube: Any, folder: Path, **images: Any) -> Desk:
    """A desk on it, in an environment that lets images be pruned, but for what `images` changes of cleanup.images."""
    platform = spec.load(None)
    settings = platform.cleanup.images
    runtime = settings.runtime.model_copy(update={"image": "registry.local/crictl:1", "seconds": 10})
    settings = settings.model_copy(update={"prune": True, "runtime": runtime, **images})
    platform = platform.model_copy(update={"cleanup": platform.cleanup.model_copy(update={"images": settings})})
    return Desk(kube, platform, "dev", "c-1", Records(UPath(folder)), "run-1", lambda _: None, now=lambda: datetime.now(UTC))
