"""The cleanups through Dagster, on every cluster there is: planned, read, applied by the plan's id, and put back."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from gsv_ops.cleanup import counting
from gsv_ops.cleanup.counting import Count
from gsv_ops.cleanup.jobs import JOBS, PODS, REPLICASETS
from gsv_ops.housekeeping.jobs import UNDO
from gsv_ops.kube import objects, resources
from gsv_ops.kube.client import KubeClient
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import JOB, POD, REPLICA_SET
from gsv_ops.platform import spec
from gsv_ops.platform.spec import PLATFORM_FILE, Component
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.cleanup import bodies

NOW = {"older_than_hours": 0}


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def stored(kube: Kube, namespace: str, body: Object, owner: Object | None = None) -> Object:
    """The body in that namespace, as its controller would leave it, with its status."""
    given = {key: value for key, value in body["metadata"].items() if key in ("name", "labels", "annotations")}
    owners = {"ownerReferences": [bodies.reference(owner["kind"], objects.name(owner), objects.uid(owner))]} if owner else {}
    made = kube.create({**body, "metadata": {**given, "namespace": namespace, **owners}})
    if not (status := body.get("status")):
        return made
    if isinstance(kube, FakeKube):
        return kube.put({**made, "status": status})
    return kube.patch(resources.of(body), objects.name(made), namespace, {"status": status}, subresource="status")


def history(kube: Kube, namespace: str, of: str, upto: int, pods: int = 2) -> None:
    """A complete Deployment at its revision `upto`, with all revisions before it."""
    body = bodies.deployment(of, at=upto, replicas=pods, history=2)
    body["spec"]["selector"] = {"matchLabels": {"app": "web"}}
    owner = stored(kube, namespace, body)
    template = owner["spec"]["template"]
    for n in range(1, upto + 1):
        one = bodies.replica_set(n, of, pods=pods if n == upto else 0)
        labels = {"app": "web", "pod-template-hash": f"h{n}"}
        container = {**template["spec"]["containers"][0], "image": f"v{n}"}
        spec = {**template, "metadata": {"labels": labels}, "spec": {**template["spec"], "containers": [container]}}
        one["spec"] |= {"selector": {"matchLabels": labels}, "template": spec}
        stored(kube, namespace, one, owner)


def names(kube: Kube, namespace: str, resource: resources.Resource = REPLICA_SET) -> list[str]:
    return sorted(objects.name(body) for body in kube.list(resource, namespace) if not objects.deleting(body))


def scale(kube: Kube, namespace: str, name: str) -> None:
    kube.patch(REPLICA_SET, name, namespace, {"spec": {"replicas": 1}})


def test_old_replica_sets_go_by_the_plan_that_was_read_and_come_back(kube: Kube, desk: DeskHere, namespace: str) -> None:
    history(kube, namespace, "web", 5)
    history(kube, namespace, "asleep", 4, pods=0)
    before = {objects.name(body): body for body in kube.list(REPLICA_SET, namespace)}

    ran = desk.run(REPLICASETS, mode="plan", namespace=namespace, **NOW)
    rows = desk.shown(ran)["what would be done"]
    assert sorted(row["target"] for row in rows) == [f"ReplicaSet {namespace}/{name}" for name in ("asleep-1", "web-1", "web-2")]
    assert names(kube, namespace) == sorted(before), "a plan changes nothing"

    run_id = desk.apply(REPLICASETS, namespace=namespace, **NOW)
    assert names(kube, namespace) == ["asleep-2", "asleep-3", "asleep-4", "web-3", "web-4", "web-5"]

    desk.apply(UNDO, run=run_id)
    after = {objects.name(body): body for body in kube.list(REPLICA_SET, namespace)}
    assert sorted(after) == sorted(before)
    for name, body in after.items():
        assert body["spec"] == before[name]["spec"]
        for key in ("labels", "annotations", "ownerReferences"):
            assert body["metadata"].get(key) == before[name]["metadata"].get(key), key


def test_one_that_was_scaled_up_since_the_plan_refuses_it(kube: Kube, desk: DeskHere, namespace: str) -> None:
    history(kube, namespace, "web", 5)
    plan_id = desk.plan(REPLICASETS, namespace=namespace, **NOW)
    scale(kube, namespace, "web-1")
    ran = desk.run(REPLICASETS, mode="apply", plan_id=plan_id, namespace=namespace, **NOW)
    assert f"action no longer planned: delete ReplicaSet {namespace}/web-1" in desk.failure(ran)
    assert len(names(kube, namespace)) == 5
    assert desk.bundles() == []


class ScaledUp:
    """A Kube in which somebody scales a ReplicaSet up when the first one is looked at again."""

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube, self._do = kube, lambda: scale(kube, namespace, name)

    def get(self, resource: Any, name: str, namespace: str | None = None) -> Object:
        if resource == REPLICA_SET:
            do, self._do = self._do, lambda: None
            do()
        return self._kube.get(resource, name, namespace)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


def test_one_that_is_scaled_up_in_the_moment_is_left_alone(kube: Kube, desk: DeskHere, namespace: str) -> None:
    history(kube, namespace, "web", 5)
    plan_id = desk.plan(REPLICASETS, namespace=namespace, **NOW)
    between = ScaledUp(kube, namespace, "web-1")
    ran = desk.run(REPLICASETS, between, mode="apply", plan_id=plan_id, namespace=namespace, **NOW)  # type: ignore[arg-type]
    assert f"left alone: ReplicaSet {namespace}/web-1" in desk.failure(ran)
    assert names(kube, namespace) == ["web-1", "web-3", "web-4", "web-5"]


def test_without_a_plan_nothing_goes_unless_the_environment_says_so(
    kube: Kube, desk: DeskHere, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(kube, namespace, "web", 5)
    ran = desk.run(REPLICASETS, mode="apply", namespace=namespace, **NOW)
    assert "only applied by a plan that was read before" in desk.failure(ran)
    assert len(names(kube, namespace)) == 5

    text = yaml.safe_load(PLATFORM_FILE.read_text())
    text["cleanup"]["scheduled_deletions"] = True
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(text))
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(file))
    assert desk.run(REPLICASETS, mode="apply", namespace=namespace, **NOW).success
    assert names(kube, namespace) == ["web-3", "web-4", "web-5"]


def test_too_much_is_refused_before_the_first_deletion(
    kube: Kube, desk: DeskHere, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history(kube, namespace, "web", 5)
    text = yaml.safe_load(PLATFORM_FILE.read_text())
    text["cleanup"]["most_objects"] = 1
    file = tmp_path / "platform.yaml"
    file.write_text(yaml.safe_dump(text))
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(file))
    plan_id = desk.plan(REPLICASETS, namespace=namespace, **NOW)
    ran = desk.run(REPLICASETS, mode="apply", plan_id=plan_id, namespace=namespace, **NOW)
    assert "it would delete 2 objects, more than cleanup.most_objects (1)" in desk.failure(ran)
    assert len(names(kube, namespace)) == 5


def test_a_namespace_that_is_not_there_is_told_with_what_is(kube: Kube, desk: DeskHere, namespace: str) -> None:
    ran = desk.run(REPLICASETS, mode="plan", namespace=f"{namespace}x")
    assert namespace in desk.failure(ran)


def test_the_deletions_take_the_pods_along(kube: Kube, desk: DeskHere, namespace: str) -> None:
    """The API's own default differs by kind: it orphans what belongs to a Job."""
    history(kube, namespace, "web", 4)
    asked: list[Any] = []

    class Noted:
        def delete(self, *_: Any, **options: Any) -> None:
            asked.append((options["propagation"], bool(options["uid"]), bool(options["resource_version"])))

        def __getattr__(self, name: str) -> Any:
            return getattr(kube, name)

    plan_id = desk.plan(REPLICASETS, namespace=namespace, **NOW)
    desk.run(REPLICASETS, Noted(), mode="apply", plan_id=plan_id, namespace=namespace, **NOW)  # type: ignore[arg-type]
    assert asked == [("Background", True, True)]
    assert isinstance(kube, KubeClient | FakeKube)


ENDED = {"complete_older_than_hours": 0, "failed_older_than_hours": 0}


def job(kube: Kube, namespace: str, name: str, outcome: str = "", **metadata: Any) -> None:
    """A Job that has ended so, or has not."""
    template = {"spec": {"containers": [{"name": "c", "image": "none.invalid/c"}], "restartPolicy": "Never"}}
    body: Object = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, **metadata}, "spec": {"template": template}}
    moment = bodies.stamp(bodies.OLD)
    # the API server takes an end only with what led to it
    led = {"Complete": "SuccessCriteriaMet", "Failed": "FailureTarget"}.get(outcome)
    conditions = [{"type": type_, "status": "True", "lastTransitionTime": moment} for type_ in (led, outcome) if type_]
    completion = {"completionTime": moment} if outcome == "Complete" else {}
    succeeded = {"succeeded": 1} if outcome == "Complete" else {}
    body["status"] = {"startTime": moment, "conditions": conditions, **completion, **succeeded, "uncountedTerminatedPods": {}}
    if not outcome:
        body["status"] = {"startTime": moment, "active": 2, "succeeded": 1}
    stored(kube, namespace, body)


def test_ended_jobs_go_and_come_back_suspended(kube: Kube, desk: DeskHere, namespace: str) -> None:
    job(kube, namespace, "done", "Complete", labels={"app": "x"})
    job(kube, namespace, "failed", "Failed")
    job(kube, namespace, "running")
    job(kube, namespace, "test", "Complete", annotations={"helm.sh/hook": "test"})

    run_id = desk.apply(JOBS, namespace=namespace, **ENDED)
    assert names(kube, namespace, JOB) == ["running", "test"]

    desk.apply(UNDO, run=run_id)
    assert names(kube, namespace, JOB) == ["done", "failed", "running", "test"]
    back = kube.get(JOB, "done", namespace)
    assert back["spec"]["suspend"] is True
    assert objects.labels(back)["app"] == "x"
    assert desk.run(JOBS, mode="plan", namespace=namespace, **ENDED).success
    assert names(kube, namespace, JOB) == ["done", "failed", "running", "test"]


def test_a_job_that_is_marked_since_the_plan_refuses_it(kube: Kube, desk: DeskHere, namespace: str) -> None:
    job(kube, namespace, "done", "Complete")
    plan_id = desk.plan(JOBS, namespace=namespace, **ENDED)
    kube.patch(JOB, "done", namespace, {"metadata": {"annotations": {"gsv-ops/keep": "see the ticket"}}})
    ran = desk.run(JOBS, mode="apply", plan_id=plan_id, namespace=namespace, **ENDED)
    assert "the cluster has moved on since plan" in desk.failure(ran)
    assert names(kube, namespace, JOB) == ["done"]


def pod(kube: Kube, namespace: str, name: str, phase: str, **metadata: Any) -> None:
    spec = {"containers": [{"name": "c", "image": "none.invalid/c"}]}
    status = {"phase": phase, "startTime": bodies.stamp(bodies.OLD)}
    stored(kube, namespace, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec, "status": status})


def test_pods_that_ended_go_and_come_back_without_running(kube: Kube, desk: DeskHere, namespace: str) -> None:
    pod(kube, namespace, "evicted", "Failed")
    pod(kube, namespace, "done", "Succeeded")
    pod(kube, namespace, "runs", "Running")
    pod(kube, namespace, "worker", "Succeeded", labels={"dagster/run-id": "r"})

    run_id = desk.apply(PODS, namespace=namespace, **NOW)
    assert names(kube, namespace, POD) == ["runs", "worker"]

    desk.apply(UNDO, run=run_id)
    assert names(kube, namespace, POD) == ["done", "evicted", "runs", "worker"]
    assert kube.get(POD, "done", namespace)["spec"]["schedulingGates"] == [{"name": "gsv-ops/put-back"}]


def test_every_namespace_of_the_platform_is_looked_at_and_no_other(kube: Kube, desk: DeskHere, namespace: str) -> None:
    for place in ("cmp", "argocd"):
        if place not in {objects.name(body) for body in kube.list(resources.NAMESPACE)}:
            kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
        pod(kube, place, f"{namespace}-done", "Succeeded")
    pod(kube, namespace, "done", "Succeeded")
    shown = desk.shown(desk.run(PODS, mode="plan", **NOW))
    places = {row["target"].split()[1].split("/")[0] for row in shown["what would be done"]}
    assert places == {"cmp", "argocd"}
    (fact,) = [row["value"] for row in shown["relied on"] if row["fact"] == "namespaces of platform.yaml that do not exist"]
    assert "observability" in fact
    for place in ("cmp", "argocd"):
        kube.delete(POD, f"{namespace}-done", place, uid=objects.uid(kube.get(POD, f"{namespace}-done", place)))


def test_what_may_go_is_counted_from_metadata(kube: Kube, namespace: str) -> None:
    history(kube, namespace, "web", 5)
    history(kube, namespace, "asleep", 4, pods=0)
    job(kube, namespace, "done", "Complete")
    job(kube, namespace, "running")
    job(kube, namespace, "test", "Complete", annotations={"helm.sh/hook": "test"})
    pod(kube, namespace, "evicted", "Failed")
    pod(kube, namespace, "done", "Succeeded")
    pod(kube, namespace, "runs", "Running")
    pod(kube, namespace, "worker", "Succeeded", labels={"dagster/run-id": "r"})
    platform = spec.load(None)
    here = Component(name="here", layer="platform", namespace=namespace, purpose="this test's")
    only = platform.model_copy(update={"components": (here,), "databases": {}})
    later = datetime.now(UTC) + timedelta(days=2)
    found = {name: counting.count(name, kube, only, later) for name in ("prune_replicasets", "prune_jobs", "prune_pods")}
    assert found["prune_replicasets"] == Count(0 + 1, 9), "three of each stay"
    assert found["prune_jobs"] == Count(2, 3), "of a Job its metadata does not say whether it has ended"
    assert found["prune_pods"] == Count(2, 3), "what runs is not even listed"
