"""Restarts, scaling, tuning and autoscaling through Dagster, on every cluster there is: planned, refused, applied, watched, rolled back."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from upath import UPath

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import AUTOSCALER, DEPLOYMENT, POD
from gsv_ops.maintenance.jobs import AUTOSCALING, RESOURCES, RESTART, SCALE
from gsv_ops.maintenance.rolling_restart import RESTARTED, ROLLING_RESTART, RollingRestart
from gsv_ops.operations import steps
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed
from gsv_ops.platform.spec import PLATFORM_FILE
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.contract.rollouts import Controller, controller, deployment, node, with_status
from gsv_ops_tests.fake_kube import FakeKube

LIMITS = {"watch_seconds": 20, "tell_seconds": 5, "back_seconds": 10, "metrics_seconds": 1}


@pytest.fixture
def desk(kube: Kube, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    """A desk of a platform that has the test's namespace, and little patience."""
    raw = yaml.safe_load(PLATFORM_FILE.read_text())
    raw["components"].append({"name": "tested", "layer": "platform", "namespace": namespace, "purpose": "to be tested"})
    raw["rollouts"] = LIMITS
    (tmp_path / "platform.yaml").write_text(yaml.safe_dump(raw))
    monkeypatch.setenv("GSV_PLATFORM_FILE", str(tmp_path / "platform.yaml"))
    if isinstance(kube, FakeKube):
        kube.script(logs=lambda *_, **__: "cannot open /data: password=hunter2 refused\n")
    node(kube)
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


@pytest.fixture
def rollouts(kube: Kube, namespace: str) -> Iterator[Controller]:
    with controller(kube, namespace) as found:
        yield found


@pytest.fixture
def web(kube: Kube, namespace: str, rollouts: Controller) -> dict[str, str]:
    """A Deployment at rest, as a job's configuration names it."""
    kube.create(deployment(namespace))
    at_rest(kube, namespace)
    return {"namespace": namespace, "name": "web"}


def at_rest(kube: Kube, namespace: str, name: str = "web") -> None:
    def done(body: Object | None) -> bool | None:
        assert body is not None
        count = body["spec"]["replicas"]
        return (objects.at(body, "status", "observedGeneration") == body["metadata"]["generation"]) or None if count is not None else None

    kube.wait(DEPLOYMENT, name, namespace, done, timeout=10, what="it to be at rest")


def pods(kube: Kube, namespace: str) -> set[str]:
    return {objects.uid(body) for body in kube.list(POD, namespace) if not objects.deleting(body)}


def refusals(desk: DeskHere, ran: Any) -> str:
    shown = desk.shown(ran)
    return "\n".join(row["why"] for row in shown.get("refusals", []))


def test_a_restart_replaces_every_pod_by_the_plan_that_was_read(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    before = pods(kube, namespace)
    assert len(before) == 2
    ran = desk.run(RESTART, mode="plan", **web)
    (row,) = desk.shown(ran)["what would be done"]
    assert row["why"] == "2 pods are replaced: at most 0 of 2 pods away, 1 more beside them"
    assert pods(kube, namespace) == before, "a plan changes nothing"

    desk.apply(RESTART, **web)
    after = pods(kube, namespace)
    assert len(after) == 2
    assert not after & before


def test_a_change_between_plan_and_apply_refuses(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    plan_id = desk.plan(RESTART, **web)
    kube.patch(DEPLOYMENT, "web", namespace, {"spec": {"minReadySeconds": 1}})
    at_rest(kube, namespace)
    before = pods(kube, namespace)
    ran = desk.run(RESTART, mode="apply", plan_id=plan_id, **web)
    assert "the cluster has moved on since plan" in desk.failure(ran)
    assert pods(kube, namespace) == before


def test_a_rollout_that_does_not_get_ready_ends_with_the_pods_reason_and_is_rolled_back(
    kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str], rollouts: Controller
) -> None:
    before, old = pods(kube, namespace), kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]
    rollouts.breaks = lambda template: template != old
    ran = desk.run(RESTART, mode="apply", roll_back=True, seconds=2, **web)
    said = desk.failure(ran)
    assert "its rollout was not complete within 2 s" in said
    assert "CrashLoopBackOff (back-off 40s restarting failed container)" in said
    assert "web ended with 1 (Error), 3 restarts" in said
    if isinstance(kube, FakeKube):
        assert "said last: cannot open /data: password=..." in said
    assert "It was rolled back: it is as it was before this run, and all its pods are ready." in said
    assert f"Changed: patch Deployment {namespace}/web, roll back Deployment {namespace}/web." in said
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"] == old
    assert pods(kube, namespace) & before == before, "the old pods were never taken away"
    assert "hunter2" not in desk.everything_told()


def test_without_roll_back_it_is_left_and_told(
    kube: Kube, desk: DeskHere, web: dict[str, str], namespace: str, rollouts: Controller
) -> None:
    rollouts.breaks = lambda template: "limits" in template["spec"]["containers"][0]["resources"]
    ran = desk.run(RESOURCES, mode="apply", cpu_limit="1", seconds=1, **web)
    said = desk.failure(ran)
    assert "It was left as it is. To take it back: launch set_resources with" in said
    assert "container: web, cpu_limit: none" in said
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}


def test_resources_are_set_and_the_way_back_is_told_and_works(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    old = kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]["spec"]["containers"][0]
    ran = desk.run(RESOURCES, mode="apply", cpu_request="250m", memory_limit="1024Mi", **web)
    assert ran.success, desk.failure(ran)
    new = kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]["spec"]["containers"][0]
    assert new["resources"]["requests"] == {"cpu": "250m", "memory": "64Mi"}
    assert new["resources"]["limits"]["memory"] in ("1024Mi", "1Gi")
    assert {k: v for k, v in new.items() if k != "resources"} == {k: v for k, v in old.items() if k != "resources"}

    undo = desk.shown(ran, "verify")["undo"]
    assert undo.startswith("launch set_resources with ")
    config = dict(part.split(": ") for part in undo.removeprefix("launch set_resources with ").split(", "))
    ran = desk.run(RESOURCES, mode="apply", **config)
    assert ran.success, desk.failure(ran)
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]["spec"]["containers"][0]["resources"].get("requests") == {
        "cpu": "100m",
        "memory": "64Mi",
    }
    again = desk.run(RESOURCES, mode="apply", cpu_request="0.1", **web)
    assert desk.shown(again, "verify")["verdict"] == "unchanged"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"cpu_request": "2", "cpu_limit": "1"}, "would ask for cpu 2 and get 1 at most"),
        ({"cpu_request": "5"}, "n1: cpu"),
        ({"container": "wbe", "cpu_request": "1"}, "expected `container` to be one of web: is web meant?"),
    ],
)
def test_resources_that_cannot_be_are_refused(desk: DeskHere, web: dict[str, str], config: dict[str, str], told: str) -> None:
    assert told in refusals(desk, desk.run(RESOURCES, mode="plan", **web, **config))


@pytest.mark.parametrize(
    ("job", "config", "told"),
    [
        (RESOURCES, {"memory_limit": "512m"}, "a container cannot run in that; is Mi or Gi meant?"),
        (RESOURCES, {"cpu_request": "1 core"}, "'1 core' is no quantity"),
        (RESOURCES, {}, "nothing is asked for"),
        (RESTART, {"name": ""}, "name is not given; expected the workload's name"),
        (SCALE, {}, "replicas is not given"),
        (SCALE, {"replicas": 0}, "launch it with `allow_zero: true`"),
        (AUTOSCALING, {"min_replicas": 5, "max_replicas": 2}, "min_replicas 5 is more than max_replicas 2"),
    ],
)
def test_what_cannot_be_meant_makes_no_run(desk: DeskHere, namespace: str, job: Any, config: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match=r"was not launched") as problem:
        desk.run(job, mode="plan", **{"namespace": namespace, "name": "web", **config})
    assert told in str(problem.value)


def test_scaling_and_its_way_back(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    ran = desk.run(SCALE, mode="apply", replicas=4, **web)
    assert ran.success, desk.failure(ran)
    assert len(pods(kube, namespace)) == 4
    assert (
        desk.shown(ran, "verify")["undo"] == f"launch scale_workload with namespace: {namespace}, name: web, kind: Deployment, replicas: 2"
    )
    assert desk.run(SCALE, mode="apply", replicas=0, allow_zero=True, **web).success
    assert pods(kube, namespace) == set()
    assert "it has no pods: it is scaled to zero" in refusals(desk, desk.run(RESTART, mode="plan", **web))


def test_a_scaled_workload_that_lacks_ready_pods_is_set_back(
    kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str], rollouts: Controller
) -> None:
    rollouts.blind = lambda body: body["spec"]["replicas"] == 3
    ran = desk.run(SCALE, mode="apply", replicas=3, roll_back=True, seconds=1, **web)
    assert "its controller has seen generation" in desk.failure(ran)
    assert "It was rolled back: it is as it was before this run" in desk.failure(ran)
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["replicas"] == 2


def test_an_autoscaler_forbids_scaling_by_hand_and_names_the_way(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"minReplicas": 2, "maxReplicas": 4, "scaleTargetRef": reference}
    kube.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "by-load", "namespace": namespace},
            "spec": spec,
        }
    )
    ran = desk.run(SCALE, mode="apply", replicas=5, **web)
    assert "HorizontalPodAutoscaler by-load sets its replicas, from 2 to 4" in desk.failure(ran)
    assert "launch set_autoscaling" in desk.failure(ran)
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["replicas"] == 2

    ran = desk.run(AUTOSCALING, mode="apply", max_replicas=10, **web)
    assert "does not scale yet" in desk.failure(ran), "on a bare control plane nobody measures"
    body = kube.get(AUTOSCALER, "by-load", namespace)
    assert (body["spec"]["minReplicas"], body["spec"]["maxReplicas"]) == (2, 10)
    run_id = desk.apply(AUTOSCALING, remove=True, **web)
    assert kube.list(AUTOSCALER, namespace) == []
    assert run_id
    assert len(desk.bundles()) == 1
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["replicas"] == 2


def test_a_new_autoscaler_needs_what_it_goes_by(desk: DeskHere, web: dict[str, str]) -> None:
    told = refusals(desk, desk.run(AUTOSCALING, mode="plan", max_replicas=4, cpu_percent=80, **web))
    assert "metrics.k8s.io is not served" in told
    assert "a new one needs max_replicas" in refusals(desk, desk.run(AUTOSCALING, mode="plan", min_replicas=2, **web))


def test_a_quota_refuses_before_anything_is_changed(kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    made = kube.create(
        {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": namespace}, "spec": {"hard": {"pods": "2"}}}
    )
    with_status(kube, made, {"hard": {"pods": "2"}, "used": {"pods": "2"}})
    ran = desk.run(RESTART, mode="apply", **web)
    assert "ResourceQuota q: pods 2 used of 2, 1 more are needed" in desk.failure(ran)
    assert "Changed: nothing." in desk.failure(ran)
    assert RESTARTED not in objects.annotations(kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"])


def test_what_argo_cd_would_undo_is_refused_with_the_place_in_git(
    kube: Kube, desk: DeskHere, namespace: str, rollouts: Controller, create_as: Any
) -> None:
    body = deployment(namespace, annotations={"argocd.argoproj.io/tracking-id": f"web:apps/Deployment:{namespace}/web"})
    create_as("argocd-controller", body)
    at_rest(kube, namespace)
    web = {"namespace": namespace, "name": "web"}
    # the CustomResourceDefinition is not installed here: the Application is on another cluster
    told = refusals(desk, desk.run(SCALE, mode="plan", replicas=3, **web))
    assert "Argo CD sets spec.replicas, and whether it puts it back is not known" in told
    assert refusals(desk, desk.run(RESTART, mode="plan", **web)) == ""


def test_a_wrong_name_or_kind_or_namespace_is_told_with_what_there_is(desk: DeskHere, namespace: str, web: dict[str, str]) -> None:
    assert "Deployments with a name like it: web." in desk.failure(desk.run(RESTART, mode="plan", namespace=namespace, name="wbe"))
    said = desk.failure(desk.run(RESTART, mode="plan", namespace=namespace, name="web", kind="StatefulSet"))
    assert "There is a Deployment of that name: launch again with `kind: Deployment`." in said
    assert "namespace 'kube-system' is none of the platform's" in desk.failure(
        desk.run(RESTART, mode="plan", namespace="kube-system", name="web")
    )


def test_an_outage_is_refused_unless_it_is_accepted(kube: Kube, desk: DeskHere, namespace: str, rollouts: Controller) -> None:
    kube.create(deployment(namespace, "one", 1, strategy={"type": "Recreate"}))
    at_rest(kube, namespace, "one")
    one = {"namespace": namespace, "name": "one"}
    told = refusals(desk, desk.run(RESTART, mode="plan", **one))
    assert "no pod would be left at some moment (strategy Recreate: all pods end before the first new one starts): an outage" in told
    assert "accept_outage: true" in told
    assert desk.run(RESTART, mode="apply", accept_outage=True, **one).success


def test_a_restart_that_somebody_undoes_meanwhile_is_told(
    kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str], rollouts: Controller
) -> None:
    old = kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]

    def undone(template: Object) -> bool:
        if template == old:
            return False
        nothing = dict.fromkeys(objects.annotations(template))
        kube.patch(DEPLOYMENT, "web", namespace, {"spec": {"template": {"metadata": {"annotations": nothing}}}})
        return True

    rollouts.breaks = undone
    said = desk.failure(desk.run(RESTART, mode="apply", roll_back=True, **web))
    assert "was changed by somebody else while its rollout was watched: the restart's annotation is gone" in said


def test_a_run_that_ended_while_it_watched_goes_on_with_its_own_change(
    kube: Kube, desk: DeskHere, namespace: str, web: dict[str, str], rollouts: Controller
) -> None:
    """Executed again from its failure it changes nothing anew."""
    factory = DeskFactory(kube, UPath(desk.root / "evidence"))
    here = factory.desk("run-1", lambda _: None, lambda _: False)
    plan = steps.make_plan(ROLLING_RESTART, here, RollingRestart(**web, seconds=1))
    rollouts.blind = lambda body: True
    with pytest.raises(OperationFailed, match="It was left as it is"):
        ROLLING_RESTART.execute(here, plan, Journal.open(here.records, "rolling_restart", "run-1"))
    changed = kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"]

    rollouts.blind = lambda body: False
    at_rest(kube, namespace)
    journal = Journal.open(here.records, "rolling_restart", "run-1")
    results = ROLLING_RESTART.execute(here, plan, journal)
    assert kube.get(DEPLOYMENT, "web", namespace)["spec"]["template"] == changed
    assert [(o.verb, o.result) for o in journal.outcomes] == [("patch", "done"), ("patch", "already")]
    assert ROLLING_RESTART.verify(here, plan, results).status == "good"
