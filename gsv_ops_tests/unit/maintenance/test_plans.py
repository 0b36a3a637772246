"""The plans: what is refused, what is only told, and what no plan ever does."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance import rolling_restart, scale_workload, set_autoscaling, set_resources
from gsv_ops.maintenance.availability import pace
from gsv_ops.maintenance.holders import Tracking
from gsv_ops.maintenance.rolling_restart import RollingRestart
from gsv_ops.maintenance.scale_workload import ScaleWorkload
from gsv_ops.maintenance.seen import Absent, Listed, Unknown
from gsv_ops.maintenance.set_autoscaling import Scaled, SetAutoscaling
from gsv_ops.maintenance.set_resources import SetResources
from gsv_ops.maintenance.workload import Seen
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.maintenance.bodies import application, budget, container, frame, node, pod, quota, seen, workload

NOW = datetime(2026, 11, 24, tzinfo=UTC)
WEB = {"namespace": "cmp", "name": "web"}


def restart(found: Seen, **params: Any) -> Plan:
    return rolling_restart.plan(spec.load(), found, RollingRestart(**WEB, **params), frame("rolling_restart"), NOW)


def scale(found: Seen, replicas: int, **params: Any) -> Plan:
    return scale_workload.plan(spec.load(), found, ScaleWorkload(**WEB, replicas=replicas, **params), frame("scale_workload"), NOW)


def size(found: Seen, **params: Any) -> Plan:
    return set_resources.plan(spec.load(), found, SetResources(**WEB, **params), frame("set_resources"), NOW)


def autoscale(found: Seen, no_metrics: str = "", tracking: Tracking | None = None, **params: Any) -> Plan:
    scaled = Scaled(found, tracking or Tracking(), no_metrics, "")
    return set_autoscaling.plan(spec.load(), scaled, SetAutoscaling(**WEB, **params), frame("set_autoscaling"), NOW)


def why(plan: Plan) -> str:
    assert not (plan.refused and plan.actions), "a plan that is refused does nothing"
    return "\n".join(refusal.reason for refusal in plan.refused)


def told(plan: Plan) -> str:
    return "\n".join(kept.reason for kept in plan.kept)


def scaler(least: int = 1, most: int = 4, metrics: list[Object] | None = None, **metadata: Any) -> Object:
    head = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "by-load", "namespace": "cmp", "uid": "u-h", **metadata},
    }
    cpu = {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}
    return {**head, "spec": {"minReplicas": least, "maxReplicas": most, "metrics": metrics if metrics is not None else [cpu]}}


def owned(kind: str, name: str) -> dict[str, Any]:
    return {"ownerReferences": [{"kind": kind, "name": name, "uid": "o", "controller": True}]}


OF_ARGO = [{"manager": "argocd-controller", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]
PROGRESSING = {"updatedReplicas": 1, "replicas": 3}
STUCK = {**PROGRESSING, "conditions": [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]}


@pytest.mark.parametrize(
    ("found", "refused"),
    [
        (seen(), ""),
        (seen(workload(status=PROGRESSING)), "a rollout is in progress (1 of 2 pods are new, 3 there are)"),
        (seen(workload(status=STUCK)), ""),
        (seen(workload(status={"observedGeneration": 2})), "its controller has not seen its newest change yet"),
        (seen(workload(spec={"paused": True})), "its rollout is paused"),
        (seen(workload(replicas=0)), "it is scaled to zero"),
        (seen(workload(deletionTimestamp="2026-11-24T00:00:00Z")), "it is being deleted"),
        (seen(workload("StatefulSet", spec={"updateStrategy": {"type": "OnDelete"}})), "its updateStrategy is OnDelete"),
        (seen(workload("StatefulSet", spec={"updateStrategy": {"rollingUpdate": {"partition": 1}}})), "its partition is 1"),
        (seen(workload("StatefulSet", status={"updateRevision": "r2"})), "revision r2 replaces r1"),
        (seen(workload("DaemonSet", 0)), "no node should have its pod"),
        (seen(budgets=(budget(minAvailable=3),)), "PodDisruptionBudget pdb asks for 3 available pods of 2, and 2 would be left"),
        (seen(budgets=(budget(minAvailable=2),)), ""),
        (seen(workload(spec={"strategy": {"type": "Recreate"}})), "no pod would be left at some moment"),
        (seen(nodes=(node(cpu="250m"),)), "the first new pod would find no room, and no old one goes before it is ready"),
        (seen(nodes=()), "there is no node"),
        (seen(quotas=(quota({"pods": "2"}, {"pods": "2"}),)), "ResourceQuota q: pods 2 used of 2, 1 more are needed"),
        (
            seen(workload(**owned("Prometheus", "k8s"))),
            "it belongs to Prometheus k8s",
        ),
        # a restart is not in Git, so nobody puts it back
        (
            seen(
                workload(managedFields=OF_ARGO),
                tracking=Tracking(application()),
            ),
            "",
        ),
    ],
)
def test_a_restart_is_refused_where_it_would_hurt_or_do_nothing(found: Seen, refused: str) -> None:
    plan = restart(found)
    assert refused in why(plan)
    assert bool(plan.actions) is not bool(refused)


def test_an_outage_can_be_accepted_and_stays_told() -> None:
    plan = restart(seen(workload(spec={"strategy": {"type": "Recreate"}})), accept_outage=True)
    assert plan.actions
    assert "accepted: no pod would be left at some moment" in told(plan)


def test_what_may_cost_calls_is_told() -> None:
    body = workload()
    body["spec"]["template"]["spec"]["containers"] = [container(ports=[{"containerPort": 80}])]
    assert "no readinessProbe" in told(restart(seen(body)))
    assert "no preStop hook" in told(restart(seen(body)))


def test_a_restart_relies_on_the_whole_spec_but_for_what_an_autoscaler_sets() -> None:
    assert restart(seen()).actions[0].guard["metadata.generation"] == 3
    plan = restart(seen(autoscalers=(scaler(),)))
    assert "metadata.generation" not in plan.actions[0].guard
    assert plan.id != restart(seen()).id


def test_a_number_that_moves_beside_it_makes_no_other_plan() -> None:
    assert restart(seen(everywhere=(pod("a"),))).id == restart(seen(everywhere=(pod("b", cpu="1"),))).id


@pytest.mark.parametrize(
    ("found", "replicas", "refused"),
    [
        (seen(), 5, ""),
        (seen(), 1, ""),
        (seen(autoscalers=(scaler(2, 6),)), 5, "HorizontalPodAutoscaler by-load sets its replicas, from 2 to 6"),
        (seen(), 100, "more pods have room on a node"),
        (
            seen(quotas=(quota({"requests.cpu": "350m"}, {"requests.cpu": "200m"}),)),
            4,
            "requests.cpu 200m used of 350m, 200m more are needed",
        ),
        (seen(budgets=(budget(minAvailable=2),)), 1, "PodDisruptionBudget pdb asks for 2 available pods of 1"),
        (
            seen(workload(managedFields=[]), tracking=Tracking(application())),
            3,
            "set spec.replicas in https://git.invalid/gitops charts/web",
        ),
        # more pods may be what a rollout in trouble needs
        (seen(workload(status=PROGRESSING)), 3, ""),
    ],
)
def test_scaling_is_refused_where_it_is_undone_or_finds_no_room(found: Seen, replicas: int, refused: str) -> None:
    plan = scale(found, replicas)
    assert refused in why(plan)
    assert bool(plan.actions) is not bool(refused)


def test_volumes_that_would_be_deleted_with_their_pods_refuse_it() -> None:
    policy = {"volumeClaimTemplates": [{}], "persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}
    body = workload("StatefulSet", spec=policy)
    plan = scale_workload.plan(spec.load(), seen(body), ScaleWorkload(**WEB, kind="StatefulSet", replicas=1), frame("scale_workload"), NOW)
    assert "deletes the volumes of pods that are scaled away" in why(plan)


def test_as_many_as_there_are_is_nothing_to_do() -> None:
    plan = scale(seen(), 2)
    assert (plan.actions, plan.refused) == ((), ())
    assert "it is to have 2 pods already" in told(plan)


@pytest.mark.parametrize(
    ("found", "params", "refused"),
    [
        (seen(), {"cpu_request": "200m"}, ""),
        (seen(), {"cpu_limit": "50m"}, "would ask for cpu 100m and get 50m at most"),
        # what it asks for now is below its limit then
        (seen(), {"cpu_request": "50m", "cpu_limit": "50m"}, ""),
        (seen(), {"cpu_request": "8"}, "cpu 3.8 free, 8 needed"),
        # both new ones fit only once the old ones are gone
        (seen(nodes=(node(cpu="2"),)), {"cpu_request": "900m"}, ""),
        (seen(nodes=(node(cpu="2"),)), {"cpu_request": "1100m"}, "1 of 2 more pods have room on a node"),
        (seen(), {"container": "side", "cpu_request": "1"}, "it has no container 'side'; expected `container` to be one of web"),
        (
            seen(workload(managedFields=[]), tracking=Tracking(application())),
            {"cpu_request": "1"},
            "set the resources of container web in https://git.invalid",
        ),
    ],
)
def test_resources_are_refused_where_they_cannot_be_or_are_undone(found: Seen, params: dict[str, str], refused: str) -> None:
    plan = size(found, **params)
    assert refused in why(plan)
    assert bool(plan.actions) is not bool(refused)


def test_a_quota_is_asked_for_the_peak_on_the_way() -> None:
    """2 x 100m now; 2 x 300m then, with one old or new one beside them at most."""
    for hard, refused in (("700m", False), ("690m", True)):
        found = seen(quotas=(quota({"requests.cpu": hard}, {"requests.cpu": "200m"}),))
        assert bool(size(found, cpu_request="300m").refused) is refused, hard


def test_less_for_each_pod_needs_more_for_a_while() -> None:
    """The first new one stands beside both old ones."""
    for hard, refused in (("250m", False), ("240m", True)):
        found = seen(quotas=(quota({"requests.cpu": hard}, {"requests.cpu": "200m"}),))
        assert bool(size(found, cpu_request="50m").refused) is refused, hard


def measured(name: str, **containers: str) -> Object:
    uses = [{"name": each, "usage": {"cpu": "10m", "memory": memory}} for each, memory in containers.items()]
    return {"metadata": {"name": name, "namespace": "cmp"}, "containers": uses}


USED = (measured("p1", web="40Mi"), measured("p2", web="90Mi", side="1Mi"), measured("of-another", web="9Gi"))


@pytest.mark.parametrize(
    ("params", "refused"),
    [
        ({"memory_limit": "100Mi"}, ""),
        ({"cpu_request": "200m"}, ""),
        ({"memory_limit": "90Mi"}, "container web uses memory 90Mi in p2 now, and would be killed at 90Mi; launch again with"),
        ({"memory_limit": "70Mi"}, "container web uses memory 90Mi in p2 now, and would be killed at 70Mi; launch again with"),
        ({"memory_limit": "70Mi", "accept_outage": True}, ""),
    ],
)
def test_a_memory_limit_that_is_outgrown_already_is_refused(params: dict[str, Any], refused: str) -> None:
    plan = size(seen(usage=USED), **params)
    assert refused in why(plan)
    assert bool(plan.actions) is not bool(refused)
    assert "container web uses cpu 10m, memory 90Mi now, in the pod that uses most memory (p2)" in told(plan)
    assert "container side uses cpu 10m, memory 1Mi now" in told(plan)
    assert ("accepted: container web uses memory 90Mi" in told(plan)) is ("accept_outage" in params)


@pytest.mark.parametrize(
    ("usage", "why_not"),
    [
        (Absent("metrics.k8s.io is not installed"), "metrics.k8s.io is not installed"),
        (Unknown("nobody answers"), "nobody answers"),
        ((measured("of-another", web="9Gi"),), "its pods were not measured yet"),
    ],
)
def test_what_is_not_measured_is_said_to_be_unknown_and_not_taken_for_nothing(usage: Listed, why_not: str) -> None:
    plan = size(seen(usage=usage), memory_limit="70Mi")
    assert f"what its containers use is not known: {why_not}" in told(plan)
    assert plan.actions


def test_the_patch_names_one_container_and_what_it_was() -> None:
    plan = size(seen(), cpu_request="200m", memory_request="none")
    (change,) = plan.actions[0].body["spec"]["template"]["spec"]["containers"]  # type: ignore[index]
    assert change == {"name": "web", "resources": {"requests": {"cpu": "200m", "memory": None}}}
    assert set_resources.undo_of(Plan(**{**vars(plan), "params": {**WEB, "kind": "Deployment"}})) == (
        "launch set_resources with namespace: cmp, name: web, kind: Deployment, container: web, cpu_request: 100m, memory_request: 64Mi"
    )


@pytest.mark.parametrize(
    ("found", "params", "refused"),
    [
        (seen(autoscalers=(scaler(),)), {"max_replicas": 10}, ""),
        (seen(autoscalers=(scaler(2, 4),)), {"min_replicas": 5}, "it would have at least 5 and at most 4 pods"),
        (seen(autoscalers=(scaler(), scaler())), {"max_replicas": 10}, "it has several autoscalers, which fight each other"),
        (
            seen(autoscalers=(scaler(**owned("ScaledObject", "s")),)),
            {"max_replicas": 9},
            "it belongs to ScaledObject s",
        ),
        (seen(), {"max_replicas": 4, "cpu_percent": 80}, ""),
        (seen(), {"max_replicas": 4}, "a new one needs cpu_percent or memory_percent"),
        (seen(), {"cpu_percent": 80}, "a new one needs max_replicas"),
        (seen(autoscalers=(scaler(),)), {"min_replicas": 99, "max_replicas": 99}, "more pods have room on a node"),
        (seen(), {"remove": True}, ""),
    ],
)
def test_an_autoscaler_is_refused_where_it_could_not_work(found: Seen, params: dict[str, Any], refused: str) -> None:
    assert refused in why(autoscale(found, **params))
    assert bool(why(autoscale(found, **params))) is bool(refused)


def test_an_autoscaler_needs_usage_and_what_is_asked_for() -> None:
    assert "it would go by usage of cpu, and metrics.k8s.io is not served" in why(
        autoscale(seen(), "metrics.k8s.io is not served", max_replicas=4, cpu_percent=50)
    )
    # wider bounds may be just what is needed while nothing measures
    plan = autoscale(seen(autoscalers=(scaler(),)), "metrics.k8s.io is not served", min_replicas=2)
    assert plan.actions
    assert "until then only its bounds count" in told(plan)
    body = workload()
    body["spec"]["template"]["spec"]["containers"].append({"name": "side"})
    assert "side asks for none: launch set_resources first" in why(autoscale(seen(body), max_replicas=4, cpu_percent=50))


@given(
    kind=st.sampled_from(["Deployment", "StatefulSet", "DaemonSet"]),
    replicas=st.integers(0, 6),
    least=st.integers(0, 6),
    recreate=st.booleans(),
    updated=st.integers(0, 6),
    held=st.booleans(),
    cpu=st.integers(1, 30),
    most=st.integers(0, 8),
)
def test_no_restart_is_planned_that_must_not_be(
    kind: str, replicas: int, least: int, recreate: bool, updated: int, held: bool, cpu: int, most: int
) -> None:
    """In any cluster: an action only where pods are left, no rollout is under way, nobody owns it, and quota and nodes have room."""
    spec_ = {"strategy": {"type": "Recreate"}} if recreate and kind == "Deployment" else {}
    count = {"updatedReplicas": updated, "updatedNumberScheduled": updated} if kind != "StatefulSet" else {}
    owner = {"ownerReferences": [{"kind": "X", "name": "x", "uid": "x", "controller": True}]} if held else {}
    body = workload(kind, replicas, spec=spec_, status=count, **owner)
    pods = tuple(pod(f"p{n}") for n in range(replicas))
    found = seen(
        body,
        pods=pods,
        everywhere=pods,
        nodes=(node(cpu=f"{cpu * 50}m"),),
        budgets=(budget(minAvailable=least),),
        quotas=(quota({"pods": str(most)}, {"pods": str(replicas)}),),
    )
    plan = restart(found)
    assert bool(plan.actions) is not bool(plan.refused)
    if plan.actions:
        going = pace(body)
        assert replicas > 0
        assert going.lowest >= max(1, least)
        assert kind == "StatefulSet" or updated >= replicas
        assert not held
        assert replicas + going.surge <= most or not going.surge
        assert kind == "DaemonSet" or (replicas + (1 if kind == "Deployment" else 0)) * 100 <= cpu * 50
        assert [action.verb for action in plan.actions] == ["patch"]
