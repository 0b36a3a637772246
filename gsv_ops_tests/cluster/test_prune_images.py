"""prune_images on the real node: what nothing needs goes by a plan, what anything needs stays, as containerd itself says."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from gsv_sandbox import archive
from gsv_sandbox.archive import Image
from gsv_sandbox.containers import Containers
from gsv_sandbox.runs import Run
from gsv_sandbox.state import Paths
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import NAMESPACE, Outside, until

pytestmark = pytest.mark.cluster

UNUSED, WANTED, NEEDED = (f"localhost/prune-{name}:1" for name in ("unused", "wanted", "needed"))
OURS = (UNUSED, WANTED, NEEDED)
TEMPLATE = "prune-images-template"
BYTES = 3 * 2**20
ALL = {"above_percent": 0, "down_to_percent": 0, "images": "localhost/prune-*", "imported": True}
LABEL = "gsv-ops/asks-runtime-of"


class Node:
    """The node's containerd, by Debian's `ctr`."""

    def __init__(self, sandbox: Paths) -> None:
        socket = sandbox.containerd / "containerd.sock"
        self._containers = Containers(socket, sandbox.run / "not-there.json")
        self._ctr = ("ctr", "--address", str(socket), "--namespace", "k8s.io", "images")

    def images(self) -> set[str]:
        return self._containers.images()

    def bring(self, reference: str, folder: Path) -> None:
        """An image of its own under that name, as somebody imports one by hand."""
        name = reference.rpartition("/")[2].replace(":", "-")
        root = folder / name
        root.mkdir()
        (root / "content").write_bytes(name.encode() * (BYTES // len(name)))
        made = archive.write(Image((reference,)), (archive.layer(root, folder / f"{name}.layer"),), folder / f"{name}.tar")
        self._run("import", str(made))

    def drop(self, *references: str) -> None:
        for reference in references:
            if reference in self.images():
                self._run("remove", "--sync", reference)

    def _run(self, *words: str) -> None:
        subprocess.run([*self._ctr, *words], capture_output=True, timeout=60, check=True)


@pytest.fixture(scope="module")
def node(sandbox: Paths, outside: Outside, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Three images that no pod runs; one of them stands in the template of a Deployment without replicas."""
    found = Node(sandbox)
    folder, before = tmp_path_factory.mktemp("images"), found.images()
    try:
        for reference in OURS:
            found.bring(reference, folder)
        pod = {"containers": [{"name": "app", "image": NEEDED}]}
        labels = {"app": TEMPLATE}
        template = {"metadata": {"labels": labels}, "spec": pod}
        body = {"metadata": {"name": TEMPLATE}, "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}}
        outside.apps.create_namespaced_deployment(NAMESPACE, body)
        yield found
    finally:
        with suppress(ApiException):
            outside.apps.delete_namespaced_deployment(TEMPLATE, NAMESPACE)
        # each also stands under its id
        found.drop(*(found.images() - before))


@pytest.fixture(scope="module")
def planned(a_desk: ADesk, node: Node) -> Run:
    run = a_desk.run("prune_images", ALL)
    assert run.status == "SUCCESS", run.failure
    return run


def facts(run: Run) -> dict[str, Any]:
    return run.outputs["plan"]


def test_the_plan_names_what_nothing_needs_and_why_the_rest_stays(planned: Run, node: Node) -> None:
    found = facts(planned)
    assert sorted(row["target"] for row in found["what would be done"]) == [f"Image sandbox/{name}" for name in sorted((UNUSED, WANTED))]
    (row,) = found["nodes"]
    assert row["bytes that go"] == pytest.approx(2 * BYTES, rel=0.01)
    left = {one["target"].removeprefix("Image sandbox/"): one["why"] for one in found["what is left alone"]}
    assert f"{NAMESPACE}/{TEMPLATE}" in left[NEEDED]
    assert "cleanup.images.keep has */pause:*" in left["localhost/pause:3.10"]
    assert "localhost/busybox:*" in left["localhost/busybox:1.35"]
    assert "needs it" in left["localhost/cloudnative-pg:1.30.0"]
    assert any("Cluster cmp/cmp-postgres" in why or "Pod cmp/cmp-postgres" in why for why in left.values())
    assert node.images() >= set(OURS), "a plan changes nothing"


def test_it_is_applied_by_its_plan_and_what_began_to_be_needed_stops_it(
    a_desk: ADesk, planned: Run, node: Node, outside: Outside, tmp_path: Path
) -> None:
    without = a_desk.run("prune_images", {"mode": "apply", **ALL})
    assert "only applied by a plan that was read before" in without.failure
    pod = {"metadata": {"name": TEMPLATE}, "spec": {"containers": [{"name": "app", "image": WANTED, "command": ["/none"]}]}}
    outside.core.create_namespaced_pod(NAMESPACE, pod)
    try:
        moved = a_desk.run("prune_images", {"mode": "apply", "plan_id": planned.tags["gsv/plan_id"], **ALL})
    finally:
        outside.core.delete_namespaced_pod(TEMPLATE, NAMESPACE, grace_period_seconds=0)
    assert f"action no longer planned: delete Image sandbox/{WANTED}" in moved.failure
    assert node.images() >= set(OURS)
    until(
        lambda: TEMPLATE not in {one.metadata.name for one in outside.core.list_namespaced_pod(NAMESPACE).items}, 60, "the pod to be gone"
    )
    others = node.images() - {UNUSED, WANTED}
    run = a_desk.run("prune_images", {"mode": "apply", "plan_id": planned.tags["gsv/plan_id"], **ALL})
    assert run.status == "SUCCESS", run.failure
    assert run.outputs["verify"]["images removed"] == 2
    assert not node.images() & {UNUSED, WANTED}
    assert {name for name in others if not name.startswith("sha256:")} <= node.images(), "and nothing else went"
    assert facts(a_desk.run("prune_images", ALL))["actions"] == 0


def test_what_was_imported_stays_unless_that_is_asked_for(a_desk: ADesk, node: Node, tmp_path: Path) -> None:
    node.bring(UNUSED, tmp_path)
    found = facts(a_desk.run("prune_images", {**ALL, "imported": False}))
    assert found["actions"] == 0
    assert "imported and not pulled" in next(one["why"] for one in found["what is left alone"] if one["target"].endswith(UNUSED))


def test_a_disk_below_the_threshold_loses_nothing(a_desk: ADesk, node: Node) -> None:
    found = facts(a_desk.run("prune_images", {**ALL, "above_percent": 100, "down_to_percent": 99}))
    assert found["actions"] == 0
    assert 0 < found["nodes"][0]["disk in percent"] <= 100


def test_without_the_setting_it_is_refused_with_what_to_set(a_desk: ADesk, platform_file: Path, tmp_path: Path) -> None:
    body = yaml.safe_load(platform_file.read_text())
    body["environments"]["sandbox"]["overrides"]["cleanup"]["images"]["prune"] = False
    off = tmp_path / "platform.yaml"
    off.write_text(yaml.safe_dump(body, sort_keys=False))
    run = a_desk.command_line("prune_images", GSV_PLATFORM_FILE=str(off))
    assert run.status == "FAILURE"
    assert "Next: set cleanup.images.prune: true in platform.yaml" in run.failure


def test_nothing_is_left_of_the_jobs(a_desk: ADesk, planned: Run, outside: Outside) -> None:
    until(lambda: not outside.batch.list_namespaced_job(NAMESPACE, label_selector=LABEL).items, 30, "the Jobs to be gone")
    until(lambda: not outside.core.list_namespaced_pod(NAMESPACE, label_selector=LABEL).items, 30, "their pods to be gone")


def test_the_report_is_told_by_the_runtime(a_desk: ADesk, node: Node) -> None:
    run = a_desk.run("image_report")
    assert run.status == "SUCCESS", run.failure
    found = run.observed["cleanup/images"]
    assert found["nodes"][0]["told by"] == "its runtime"
    assert run.checks["images_of_every_node_are_known"]["success"]
    assert "localhost/busybox:1.35" not in {row["image"] for row in found["what nothing needs"]}
