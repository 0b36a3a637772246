"""prune_pods takes what has ended and is nobody's; every other pod stays, with the reason."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.cleanup.leftover_pods import PrunePods, Seen, ended_at, plan
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.cleanup.bodies import NOW, OLD, frame, metadata, put, reference, stamp

SPEC = spec.load(None)
LIVING = frozenset({"uid-rs", "uid-sts", "uid-ds"})


def pod(name: str = "p", *, phase: str = "Failed", owner: Object | None = None) -> Object:
    terminated = {"state": {"terminated": {"exitCode": 1, "finishedAt": stamp(OLD)}}}
    status = {"phase": phase, "startTime": stamp(OLD - timedelta(hours=1)), "containerStatuses": [terminated]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata(name, owner=owner), "spec": {}, "status": status}


def planned(pods: list[Object], over: frozenset[str] = frozenset(), **params: Any) -> Plan:
    return plan(SPEC, Seen(tuple(pods), LIVING, over), PrunePods(**params), frame("prune_pods"), NOW)


def why(made: Plan) -> str:
    return made.kept[0].reason if made.kept else "it goes"


def owned(kind: str, uid: str, api_version: str = "apps/v1") -> list[Object]:
    return [reference(kind, "x", uid, api_version)]


STAYS: list[tuple[str, str, Any, str]] = [
    ("running", "status/phase", "Running", "its phase is Running"),
    ("pending", "status/phase", "Pending", "its phase is Pending"),
    ("lost", "status/phase", "Unknown", "its phase is Unknown"),
    ("without phase", "status", {}, "its phase is not known"),
    ("being deleted", "metadata/deletionTimestamp", stamp(NOW), "it is being deleted already"),
    ("marked", "metadata/annotations", {"gsv-ops/keep": ""}, "it has the annotation gsv-ops/keep"),
    ("a mirror", "metadata/annotations", {"kubernetes.io/config.mirror": "x"}, "it is a static pod"),
    ("from a file", "metadata/annotations", {"kubernetes.io/config.source": "file"}, "it is a static pod"),
    ("a node's", "metadata/ownerReferences", owned("Node", "u", "v1"), "it is a static pod"),
    ("a database's", "metadata/labels", {"cnpg.io/cluster": "pg"}, "it is CloudNativePG's"),
    ("a database's by owner", "metadata/ownerReferences", owned("Cluster", "u", "postgresql.cnpg.io/v1"), "it is CloudNativePG's"),
    ("a Job's", "metadata/ownerReferences", owned("Job", "u", "batch/v1"), "it is of Job x"),
    ("a StatefulSet's", "metadata/ownerReferences", owned("StatefulSet", "uid-sts"), "which lives and replaces it itself"),
    ("a DaemonSet's", "metadata/ownerReferences", owned("DaemonSet", "uid-ds"), "which lives and replaces it itself"),
    ("an unknown kind's", "metadata/ownerReferences", owned("Workflow", "u", "argoproj.io/v1"), "it belongs to Workflow x"),
    ("another group's", "metadata/ownerReferences", owned("ReplicaSet", "u", "x.y/v1"), "it belongs to ReplicaSet x"),
    ("a Helm test", "metadata/annotations", {"helm.sh/hook": "test"}, "it is a Helm hook or test"),
    ("an Argo CD hook", "metadata/annotations", {"argocd.argoproj.io/hook": "PostSync"}, "it is an Argo CD hook"),
    ("an installed one", "metadata/labels", {"app.kubernetes.io/instance": "portal"}, "it belongs to portal"),
    ("a run's worker", "metadata/labels", {"dagster/run-id": "r"}, "it is Dagster's"),
    ("this desk's", "metadata/labels", {"gsv-ops/run": "12345678-1"}, "run 12345678 made it"),
    ("of no known end", "status", {"phase": "Failed"}, "it does not say when it ended"),
    ("just ended", "status/startTime", stamp(NOW - timedelta(hours=1)), "ended less than 24 hours ago"),
]


@pytest.mark.parametrize("phase", ["Failed", "Succeeded"])
def test_what_ended_and_is_nobodys_goes(phase: str) -> None:
    (action,) = planned([pod(phase=phase)]).actions
    assert action.guard == {"status.phase": phase, "metadata.annotations.gsv-ops/keep": None}
    assert "no controller" in action.reason


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in STAYS], ids=[row[0] for row in STAYS])
def test_what_stays_and_why(path: str, value: Any, said: str) -> None:
    assert said in why(planned([put(pod(), path, value)]))


@pytest.mark.parametrize("kind", ["ReplicaSet", "StatefulSet", "DaemonSet"])
def test_what_its_controller_left_behind_goes(kind: str) -> None:
    (action,) = planned([put(pod(), "metadata/ownerReferences", owned(kind, "uid-of-one-that-is-gone"))]).actions
    assert f"{kind} x does not need it" in action.reason


def test_a_replica_set_does_not_need_what_was_evicted() -> None:
    evicted = put(
        pod(owner=reference("ReplicaSet", "web-1", "uid-rs")), "status", {"phase": "Failed", "reason": "Evicted", "startTime": stamp(OLD)}
    )
    (action,) = planned([evicted]).actions
    assert "Failed (Evicted)" in action.reason


def test_the_end_is_the_last_thing_its_status_tells() -> None:
    body = pod()
    body["status"]["initContainerStatuses"] = [{"state": {"terminated": {"finishedAt": stamp(OLD - timedelta(days=1))}}}]
    assert ended_at(body) == OLD
    body["status"]["conditions"] = [{"type": "DisruptionTarget", "status": "True", "lastTransitionTime": stamp(OLD + timedelta(days=1))}]
    assert ended_at(body) == OLD + timedelta(days=1)


HOURS = st.integers(0, 60)
OWNERS = st.sampled_from(
    [
        None,
        None,
        *[
            reference(kind, "x", uid)
            for kind, uid in (
                ("ReplicaSet", "uid-rs"),
                ("StatefulSet", "uid-sts"),
                ("DaemonSet", "uid-ds"),
                ("ReplicaSet", "gone"),
                ("DaemonSet", "gone"),
            )
        ],
        reference("Job", "x", "u", "batch/v1"),
        reference("Node", "n", "u", "v1"),
        reference("Workflow", "w", "u", "argoproj.io/v1"),
        reference("ReplicaSet", "x", "gone", "x.y/v1"),
        reference("Cluster", "pg", "u", "postgresql.cnpg.io/v1"),
    ]
)
ANNOTATIONS = (
    "gsv-ops/keep",
    "argocd.argoproj.io/hook",
    "argocd.argoproj.io/tracking-id",
    "helm.sh/hook",
    "meta.helm.sh/release-name",
    "kubernetes.io/config.mirror",
    "kubernetes.io/config.source",
)
LABELS = ("cnpg.io/cluster", "velero.io/backup-name", "dagster/run-id", "gsv-ops/run", "app")


@st.composite
def clusters(draw: st.DrawFn) -> list[Object]:
    """Pods in whatever state an API server could show."""
    pods = []
    for number in range(draw(st.integers(0, 7))):
        phase = draw(st.sampled_from(["Failed", "Failed", "Succeeded", "Succeeded", "Running", "Pending", "Unknown"]))
        body = pod(f"p-{number}", phase=phase, owner=draw(OWNERS))
        body["metadata"]["annotations"] = draw(st.dictionaries(st.sampled_from(ANNOTATIONS), st.just("x"), max_size=1))
        body["metadata"]["labels"] = draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(["x", "over"]), max_size=1))
        if draw(st.integers(0, 9)) == 0:
            body = put(body, "metadata/deletionTimestamp", stamp(NOW))
        body["status"]["startTime"] = stamp(NOW - timedelta(hours=draw(HOURS)))
        if draw(st.booleans()):
            body["status"]["conditions"] = [
                {"type": "Ready", "status": "False", "lastTransitionTime": stamp(NOW - timedelta(hours=draw(HOURS)))}
            ]
        pods.append(body)
    return pods


@settings(max_examples=400)
@given(clusters(), st.integers(0, 48))
def test_no_cluster_makes_it_take_what_it_must_not(pods: list[Object], hours: int) -> None:
    made = planned(pods, frozenset({"over"}), older_than_hours=hours)
    told = sorted([*(a.target.uid for a in made.actions), *(k.target.uid for k in made.kept)])
    assert told == sorted(objects.uid(body) for body in pods), "every one is an action or kept, once"
    assert all(kept.reason for kept in made.kept)
    by_uid = {objects.uid(body): body for body in pods}
    for action in made.actions:
        body = by_uid[action.target.uid]
        said, status = body["metadata"], body["status"]
        assert status["phase"] in ("Failed", "Succeeded"), "one that has not ended"
        moments = [status["startTime"], *(c["lastTransitionTime"] for c in status.get("conditions", []))]
        assert all(NOW - objects.parse_time(moment) >= timedelta(hours=hours) for moment in moments), "a young one"
        assert "deletionTimestamp" not in said
        assert not said["annotations"], "a marked one, a hook, a static one, or what would be made anew"
        assert set(said["labels"].items()) <= {("app", "x"), ("app", "over"), ("gsv-ops/run", "over")}
        for owner in said.get("ownerReferences", []):
            assert owner["apiVersion"] == "apps/v1", "a Job's, a node's, or another controller's"
            assert owner["kind"] == "ReplicaSet" or owner["uid"] not in LIVING, "what its controller replaces itself"
