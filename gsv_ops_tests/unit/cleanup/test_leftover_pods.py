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


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from([row[1:3] for row in STAYS]), max_size=2), max_size=8))
def test_every_pod_is_an_action_or_kept_and_none_goes_that_runs(drawn: list[list[tuple[str, Any]]]) -> None:
    pods = []
    for number, changes in enumerate(drawn):
        body = pod(f"p-{number}")
        for path, value in changes:
            body = put(body, path, value)
        pods.append(body)
    made = planned(pods)
    told = sorted([*(a.target.uid for a in made.actions), *(k.target.uid for k in made.kept)])
    assert told == sorted(objects.uid(body) for body in pods)
    assert all(kept.reason for kept in made.kept)
    by_uid = {objects.uid(body): body for body in pods}
    for action in made.actions:
        body = by_uid[action.target.uid]
        assert body["status"]["phase"] in ("Failed", "Succeeded")
        assert not any(owner.kind in ("Job", "Node") for owner in objects.owners(body))
        assert not any(key.startswith("cnpg.io/") for key in objects.labels(body))
