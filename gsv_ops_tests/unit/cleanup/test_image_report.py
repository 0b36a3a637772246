"""An image is called unused only when nothing that could start it again names it, by whatever way of writing its name."""

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from gsv_ops.cleanup.images import observe, report, used
from gsv_ops.cleanup.images.observe import Collection, Image, NodeImages
from gsv_ops.kube.errors import NotServed, Unavailable
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk, Table
from gsv_ops.operations.records import Records
from gsv_ops.operations.reporting import Before, Found
from gsv_ops.platform import spec

DIGEST = "sha256:" + "a" * 64
COLLECTS = Collection(85, 80, "2m0s", "0s", 50, used=60, size=100)
KEEP = spec.load(None).cleanup.images.keep


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("busybox", {"docker.io/library/busybox:latest"}),
        ("busybox:1.35", {"docker.io/library/busybox:1.35"}),
        ("grafana/loki:3", {"docker.io/grafana/loki:3"}),
        ("localhost/busybox:1.35", {"localhost/busybox:1.35"}),
        ("registry:5000/a/b", {"registry:5000/a/b:latest"}),
        (f"quay.io/a/b@{DIGEST}", {f"quay.io/a/b@{DIGEST}"}),
        (f"quay.io/a/b:1@{DIGEST}", {f"quay.io/a/b@{DIGEST}", "quay.io/a/b:1"}),
        (f"docker-pullable://a/b@{DIGEST}", {f"docker.io/a/b@{DIGEST}"}),
        (DIGEST, set()),
        ("", set()),
    ],
)
def test_names_in_full(reference: str, found: set[str]) -> None:
    assert used.names(reference) == found


def body(kind: str, image: str, **status: Any) -> Object:
    pod = {"containers": [{"image": image}]}
    template = {"template": {"spec": pod}}
    specs: dict[str, Any] = {"Pod": pod, "CronJob": {"jobTemplate": {"spec": template}}, "Cluster": {"imageName": image}}
    return {"kind": kind, "metadata": {"name": "x", "namespace": "cmp"}, "spec": specs.get(kind, template), "status": status}


def why(image: Image, *bodies: Object, keep: tuple[str, ...] = ()) -> str:
    return used.why_kept(image.names, used.users(bodies), keep)


IMAGE = Image(("docker.io/library/web:1", f"docker.io/library/web@{DIGEST}"), 10)


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "CronJob", "Job", "Cluster"])
def test_whatever_could_start_it_needs_it(kind: str) -> None:
    assert why(IMAGE, body(kind, "web:1")) == f"{kind} cmp/x needs it"
    assert why(IMAGE, body(kind, f"web@{DIGEST}")) == f"{kind} cmp/x needs it"
    assert why(IMAGE, body(kind, "web:2"), body(kind, "other/web:1")) == ""


@pytest.mark.parametrize("place", ["initContainers", "ephemeralContainers"])
def test_not_only_containers_need_images(place: str) -> None:
    pod = body("Pod", "web:2")
    pod["spec"][place] = [{"image": "web:1"}]
    assert "needs it" in why(IMAGE, pod)


def test_what_runs_under_a_tag_that_has_moved_is_needed() -> None:
    moved = body("Pod", "web:2", containerStatuses=[{"imageID": f"docker.io/library/web@{DIGEST}"}])
    assert "needs it" in why(IMAGE, moved)


@pytest.mark.parametrize("told", [{"args": ["--helper-image=web:1"]}, {"env": [{"name": "SIDECAR_IMAGE", "value": "web:1"}]}])
def test_what_an_operator_is_told_to_run_is_needed(told: dict[str, Any]) -> None:
    operator = body("Deployment", "operator:1")
    operator["spec"]["template"]["spec"]["containers"][0] |= told
    assert "Deployment cmp/x needs it" in why(IMAGE, operator)
    assert why(Image(("docker.io/library/operator:1",), 1), operator) == "Deployment cmp/x needs it"


def test_a_volume_can_be_an_image() -> None:
    pod = body("Pod", "web:2")
    pod["spec"]["volumes"] = [{"name": "v", "image": {"reference": "web:1"}}]
    assert "needs it" in why(IMAGE, pod)


@pytest.mark.parametrize("text", ["spec:\n  containers:\n  - image: web:1\n", 'image: "web:1"  # ours', '{"image": "web:1", "name": "x"}'])
def test_a_pod_kept_as_text_in_a_config_map_needs_its_image(text: str) -> None:
    kept = {"kind": "ConfigMap", "metadata": {"name": "x", "namespace": "cmp"}, "data": {"helperPod.yaml": text}}
    assert why(IMAGE, kept) == "ConfigMap cmp/x needs it"
    assert why(Image(("docker.io/library/other:1",), 1), kept) == ""


@pytest.mark.parametrize(
    ("phase", "needs"), [("Succeeded", False), ("Failed", False), ("Running", True), ("Pending", True), ("Unknown", True)]
)
def test_a_pod_that_ended_needs_none(phase: str, needs: bool) -> None:
    assert bool(why(IMAGE, body("Pod", "web:1", phase=phase))) is needs


def test_what_is_to_be_kept_and_what_has_no_name_stay() -> None:
    assert "cleanup.images.keep has */pause:*" in why(Image(("localhost/pause:3.10",), 1), keep=KEEP)
    assert "cleanup.images.keep has */pause:*" in why(Image(("registry.k8s.io/pause:3.10",), 1), keep=KEEP)
    assert why(Image((), 1)) == "it has no name, so who needs it cannot be told"


WORDS = st.sampled_from(["a", "web", "x/web", "localhost/web", "r.io:5000/x/web", "r.io/web"])
REFERENCES = st.builds(lambda n, t, d: n + t + d, WORDS, st.sampled_from(["", ":1", ":latest"]), st.sampled_from(["", f"@{DIGEST}"]))


@given(st.lists(REFERENCES, min_size=1, max_size=5), st.sampled_from(["Pod", "Deployment", "CronJob", "Cluster"]))
def test_what_something_names_is_never_called_unused(references: list[str], kind: str) -> None:
    needed = used.users([body(kind, reference) for reference in references])
    assert all(used.why_kept([name], needed, ()) for reference in references for name in used.names(reference))


def told(*images: Image, collection: Collection | str = COLLECTS) -> Found:
    return report.found([NodeImages("n1", images, collection)], ["fake-1"], used.users([body("Pod", "web:1")]), KEEP)


def checks(found: Found) -> dict[str, bool]:
    return {check.name: check.passed for check in found.checks}


def test_the_report_counts_what_nothing_needs() -> None:
    found = told(IMAGE, Image(("docker.io/library/old:1",), 7), Image(("localhost/pause:3.10",), 1))
    assert (found.facts["images that nothing needs"], found.facts["bytes that nothing needs"], found.facts["bytes"]) == (1, 7, 18)
    table = found.facts["what nothing needs"]
    assert isinstance(table, Table)
    assert [row["image"] for row in table.rows] == ["docker.io/library/old:1"]
    assert found.summary == "nothing needs 1 of 3 images on 1 nodes, 7 bytes; simulated, so without images: fake-1"
    assert checks(found) == {report.KNOWN: True, report.BELOW: True}


def test_what_is_not_known_is_not_good() -> None:
    assert checks(told(IMAGE, collection="we may not")) == {report.KNOWN: False, report.BELOW: False}
    assert not checks(told())[report.KNOWN], "a node without images"
    many = [Image((f"a:{n}",), n) for n in range(50)]
    assert not checks(told(*many))[report.KNOWN], "the list is cut there"
    assert checks(report.found([], [], {}, KEEP)) == {report.KNOWN: False, report.BELOW: False}


def test_a_disk_that_is_fuller_than_the_kubelet_lets_it_be_is_told() -> None:
    full = Collection(85, 80, "2m0s", "0s", 50, used=86, size=100)
    assert checks(told(IMAGE, collection=full)) == {report.KNOWN: True, report.BELOW: False}


class Kubelet:
    """A Kube of one real and one simulated node, whose kubelet may be asked as a ServiceAccount alone."""

    def __init__(self) -> None:
        self.acting = False

    @contextmanager
    def acting_as(self, namespace: str, account: str) -> Any:
        other = Kubelet()
        other.acting = True
        yield other

    def ask_node(self, node: str, where: str) -> Object:
        assert self.acting
        if where == "configz":
            ages = {"imageMinimumGCAge": "2m0s", "imageMaximumGCAge": "0s", "nodeStatusMaxImages": -1}
            return {"kubeletconfig": {"imageGCHighThresholdPercent": 85, "imageGCLowThresholdPercent": 80, **ages}}
        return {"node": {"runtime": {"imageFs": {"capacityBytes": 100, "availableBytes": 40, "usedBytes": 10}}}}

    def list(self, resource: Any, *_: object, **__: object) -> list[Object]:
        if resource.kind == "Cluster":
            raise NotServed("no such kind")
        if resource.kind != "Node":
            return []
        fake = {"name": "fake-1", "annotations": {"kwok.x-k8s.io/node": "fake"}}
        return [{"metadata": {"name": "n1"}, "status": {"images": [{"names": ["a:1"], "sizeBytes": 5}]}}, {"metadata": fake, "status": {}}]


def desk(kube: Any, tmp_path: Path, enabled: bool) -> Desk:
    platform = spec.load(None)
    logs = platform.reports.logs.model_copy(update={"enabled": enabled})
    platform = platform.model_copy(update={"reports": platform.reports.model_copy(update={"logs": logs})})
    return Desk(kube, platform, "dev", "c-1", Records(UPath(tmp_path)), "r", lambda _: None, now=lambda: datetime.now(UTC))


def test_the_kubelet_is_asked_by_the_identity_that_may(tmp_path: Path) -> None:
    found = report.look(desk(Kubelet(), tmp_path, enabled=True), report.ImageReport(), Before())
    assert found.facts["fullest image disk in percent"] == 60.0
    assert checks(found) == {report.KNOWN: True, report.BELOW: True}


def test_where_that_is_not_enabled_it_is_said_as_unknown(tmp_path: Path) -> None:
    found = report.look(desk(Kubelet(), tmp_path, enabled=False), report.ImageReport(), Before())
    assert "reading kubelets is not enabled for this environment" in found.summary
    assert not checks(found)[report.KNOWN]


def test_without_knowing_who_needs_images_nothing_is_told(tmp_path: Path) -> None:
    class Blind(Kubelet):
        def list(self, resource: Any, *_: object, **__: object) -> list[Object]:
            if resource.kind == "CronJob":
                raise Unavailable("the API server does not answer")
            return super().list(resource)

    with pytest.raises(Unavailable):
        report.look(desk(Blind(), tmp_path, enabled=True), report.ImageReport(), Before())


def test_a_kubelet_that_answers_otherwise_is_unknown() -> None:
    class Odd(Kubelet):
        acting = True

        def ask_node(self, node: str, where: str) -> Object:
            return {"kubeletconfig": {}}

    kube: Any = Odd()
    assert "is not as expected" in str(observe.collection(kube, "n1"))
