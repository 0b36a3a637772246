"""The reason for a pod that is not ready: its container's state, its last words, and the events."""

from typing import Any

from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance import not_ready
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.maintenance.bodies import pod, workload


def cluster(**logs: str) -> FakeKube:
    """One in which the container says `now`, and `before` said in its last run."""

    def said(namespace: str, name: str, container: str, previous: bool) -> str:
        key = "before" if previous else "now"
        if key not in logs:
            raise errors.Invalid("it has no log")
        return logs[key]

    kube = FakeKube()
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.put(pod("p1"))
    kube.script(logs=said)
    return kube


def late(state: Object, restarts: int = 0, **more: Any) -> Object:
    container = {"name": "web", "ready": False, "restartCount": restarts, "state": state, **more}
    return {
        **pod("p1"),
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}], "containerStatuses": [container]},
    }


def event(uid: str, reason: str, message: str) -> Object:
    involved = {"kind": "Pod", "namespace": "cmp", "name": "p1", "uid": uid}
    head = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": reason.lower(), "namespace": "cmp"}, "type": "Warning"}
    return {**head, "reason": reason, "message": message, "involvedObject": involved, "lastTimestamp": "2026-11-24T00:00:00Z"}


def test_one_that_crashes_is_told_with_what_it_said_before_it_ended() -> None:
    kube = cluster(before="cannot reach redis\nPASSWORD=hunter2 is wrong\n", now="starting")
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    body = late({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}, 4, lastState=ended)
    assert not_ready.reasons(kube, workload(), [body], 5) == [
        "pod p1: container web: CrashLoopBackOff (back-off); web ended with 1 (Error), 4 restarts; "
        "web said last: cannot reach redis password=... is wrong"
    ]


def test_one_that_runs_and_is_not_ready_is_told_with_its_probe() -> None:
    kube = cluster(now="listening on 80")
    kube.put(event("u-p1", "Unhealthy", "Readiness probe failed: connection refused"))
    (line,) = not_ready.reasons(kube, workload(), [late({"running": {"startedAt": "2026-11-24T00:00:00Z"}})], 5)
    assert "web said last: listening on 80" in line
    assert line.endswith("event Unhealthy: Readiness probe failed: connection refused")


def test_one_that_has_just_ended_is_told_with_what_it_said_and_not_with_what_is_gone() -> None:
    gone = "unable to retrieve container logs for containerd://2d7a75ace4f0"
    ended = {"terminated": {"exitCode": 1, "reason": "Error"}}
    (line,) = not_ready.reasons(cluster(before=gone, now="cannot reach redis"), workload(), [late(ended, 2)], 5)
    assert "web said last: cannot reach redis" in line
    waiting = {"waiting": {"reason": "CrashLoopBackOff"}}
    (line,) = not_ready.reasons(cluster(before=gone, now=gone), workload(), [late(waiting, 2)], 5)
    assert "said last" not in line


def test_one_without_a_log_or_without_rights_to_events_is_told_all_the_same() -> None:
    kube = cluster()
    kube.forbid("list")
    (line,) = not_ready.reasons(kube, workload(), [late({"waiting": {"reason": "ImagePullBackOff"}})], 5)
    assert line == "pod p1: container web: ImagePullBackOff"


def test_where_no_pod_is_made_the_workload_says_why() -> None:
    failure = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota: q"}
    found = not_ready.reasons(cluster(), workload(status={"conditions": [failure]}), [], 5)
    assert found == ["ReplicaFailure=True (FailedCreate: exceeded quota: q)"]


def test_of_many_some_are_named_and_those_that_end_are_told_apart() -> None:
    many = [{**late({"waiting": {"reason": "ErrImagePull"}}), "metadata": pod(f"p{n}")["metadata"]} for n in range(7)]
    ending = pod("old", deletionTimestamp="2026-11-24T00:00:00Z")
    found = not_ready.reasons(cluster(), workload(), [*many, ending], 5)
    assert len(found) == not_ready.MOST_PODS + 2
    assert found[-2:] == ["and 2 more pods that are not ready", "still ending: old"]
