"""A node's runtime is asked by a Job that has no right and reaches its socket alone; whatever it answers, nothing is left of the Job."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gsv_ops.cleanup.images import report, runtime
from gsv_ops.cleanup.images.observe import Image
from gsv_ops.kube.errors import WaitTimeout
from gsv_ops.operations.apply import EXPIRES_ANNOTATION
from gsv_ops.operations.reporting import Before
from gsv_ops_tests.unit.cleanup.a_runtime import NODE, PLACE, ARuntime, desk, told

DIGEST = "sha256:" + "a" * 64
WEB = Image(("r.io/web:1", f"r.io/web@{DIGEST}"), 10, "sha256:1")
PAUSE = Image(("r.io/pause:3",), 1, "sha256:2", pinned=True)
NAMELESS = Image((), 30, "sha256:3")


def test_the_list_is_read_whatever_was_warned_of_before() -> None:
    said = 'time="now" level=warning msg="{odd}"\n' + told(WEB, PAUSE, NAMELESS)
    assert runtime.parsed(NODE, said) == (NAMELESS, WEB, PAUSE)


@pytest.mark.parametrize("said", ["", "no such command", "{", '{"images": [{"size": "1"}]}', '{"images": {}, "x": 1}x', '{"items": []}'])
def test_another_answer_is_no_list(said: str) -> None:
    if said.startswith('{"images": {}'):
        assert runtime.parsed(NODE, said) == ()
        return
    with pytest.raises(runtime.NotAsked, match="did not answer as `crictl images -o json` does"):
        runtime.parsed(NODE, said)


def test_the_job_reaches_the_socket_and_nothing_else(tmp_path: Path) -> None:
    made = runtime.job(desk(ARuntime(), tmp_path), "image_report", NODE, ("crictl", "images"))
    pod = made["spec"]["template"]["spec"]
    assert pod["nodeName"] == NODE
    assert pod["serviceAccountName"] == "gsv-ops-images-node"
    assert pod["automountServiceAccountToken"] is False
    assert [volume["hostPath"] for volume in pod["volumes"]] == [{"path": "/run/containerd/containerd.sock", "type": "Socket"}]
    security = pod["containers"][0]["securityContext"]
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in security
    assert made["spec"]["activeDeadlineSeconds"] > 10
    assert made["spec"]["ttlSecondsAfterFinished"] > 0
    assert (made["metadata"]["namespace"], made["metadata"]["labels"]["gsv-ops/run"]) == (PLACE, "run-1")


def test_nothing_is_left_of_the_job(tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    assert runtime.images(desk(kube, tmp_path), "image_report", NODE) == (WEB,)
    assert kube.jobs() == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({"phase": "Failed", "reason": "Evicted", "message": "The node had condition: [DiskPressure]."}, "Evicted; The node had condition"),
        ({"phase": "Failed", "containerStatuses": [{"state": {"terminated": {"exitCode": 1, "reason": "Error"}}}]}, "exit code 1"),
        (
            {"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ErrImagePull", "message": "no"}}}]},
            "ErrImagePull: no",
        ),
    ],
)
def test_a_job_that_fails_says_why_and_is_gone(status: dict[str, object], said: str, tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    kube.deaf = status
    with pytest.raises(runtime.NotAsked, match=said):
        runtime.images(desk(kube, tmp_path), "image_report", NODE)
    assert kube.jobs() == []


def test_what_does_not_answer_is_not_waited_for_without_end(tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    kube.deaf = {"phase": "Pending"}
    with pytest.raises(WaitTimeout):
        runtime.images(hurried(kube, tmp_path), "image_report", NODE)
    assert kube.jobs() == []


def hurried(kube: ARuntime, folder: Path) -> runtime.Desk:
    settings = desk(kube, folder).spec.cleanup.images.runtime.model_copy(update={"seconds": 1})
    return desk(kube, folder, runtime=settings)


@pytest.mark.parametrize(("hours", "stays"), [(-1, False), (1, True)])
def test_what_a_killed_run_left_goes_once_it_has_expired(hours: int, stays: bool, tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    expires = (datetime.now(UTC) + timedelta(hours=hours)).isoformat()
    labels, annotations = {runtime.OF_NODE: NODE}, {EXPIRES_ANNOTATION: expires}
    metadata = {"name": "left", "namespace": PLACE, "labels": labels, "annotations": annotations}
    kube.put({"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}})
    runtime.images(desk(kube, tmp_path), "image_report", NODE)
    assert [body["metadata"]["name"] for body in kube.jobs()] == (["left"] if stays else [])


def test_the_report_tells_what_the_runtime_knows(tmp_path: Path) -> None:
    found = report.look(desk(ARuntime(WEB, PAUSE, NAMELESS), tmp_path), report.ImageReport(), Before())
    assert found.facts["images"] == 3
    assert found.facts["images that nothing needs"] == 2
    assert "pinned" not in str(found.facts["not looked at"])


def test_a_runtime_that_does_not_answer_is_unknown_and_the_nodes_status_is_told(tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    kube.deaf = {"phase": "Failed", "reason": "Evicted"}
    found = report.look(desk(kube, tmp_path), report.ImageReport(), Before())
    assert f"node {NODE}, what its runtime has: the runtime of node {NODE} was asked in vain: Evicted" in found.summary
    assert not next(check for check in found.checks if check.name == report.KNOWN).passed


def test_where_runtimes_are_not_to_be_asked_none_is_and_that_is_said(tmp_path: Path) -> None:
    kube = ARuntime(WEB)
    off = desk(kube, tmp_path).spec.cleanup.images.runtime.model_copy(update={"image": None})
    found = report.look(desk(kube, tmp_path, runtime=off), report.ImageReport(), Before())
    assert kube.asked == []
    assert "cleanup.images.runtime.image" in str(found.facts["not looked at"])
