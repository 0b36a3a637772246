"""The health rules, as tables over whole objects."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.kube import health
from gsv_ops.kube.protocol import Object

SAMPLES = Path(__file__).parent / "samples"
GENERATION = 3


def cluster(name: str) -> Object:
    """A Cluster as CloudNativePG 1.30 wrote it, without the parts that no rule reads."""
    body: Object = yaml.safe_load((SAMPLES / f"cluster-{name}.yaml").read_text())
    return body


def make(kind: str, api_version: str, spec: dict[str, Any], status: dict[str, Any], **metadata: Any) -> Object:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": "x", "namespace": "n", "uid": "1", "generation": GENERATION, **metadata},
        "spec": spec,
        "status": status,
    }


def condition(type_: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    return {"type": type_, "status": status, "reason": reason, "message": message}


def deployment(spec: dict[str, Any] | None = None, **status: Any) -> Object:
    good = {"observedGeneration": GENERATION, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    return make("Deployment", "apps/v1", {"replicas": 3} | (spec or {}), good | status)


def stateful_set(spec: dict[str, Any] | None = None, **status: Any) -> Object:
    good = {"observedGeneration": GENERATION, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
    return make("StatefulSet", "apps/v1", {"replicas": 3} | (spec or {}), good | {"currentRevision": "a", "updateRevision": "a"} | status)


def daemon_set(spec: dict[str, Any] | None = None, **status: Any) -> Object:
    good = {"observedGeneration": GENERATION, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberAvailable": 2}
    return make("DaemonSet", "apps/v1", spec or {}, good | status)


def pod(phase: str | None, *, conditions: list[Any] = [], waiting: str = "", init: bool = False) -> Object:  # noqa: B006
    container = {"name": "app", "state": {"waiting": {"reason": waiting, "message": "why"}} if waiting else {"running": {}}}
    statuses = {"initContainerStatuses" if init else "containerStatuses": [container]}
    return make("Pod", "v1", {}, {"phase": phase, "conditions": conditions, **statuses})


READY = condition("Ready", "True")
NOT_READY = condition("Ready", "False", "ContainersNotReady", "containers with unready status: [app]")
STUCK = condition("Progressing", "False", "ProgressDeadlineExceeded", "timed out")
QUOTA = condition("ReplicaFailure", "True", "FailedCreate", "exceeded quota")
ONE_OF_TWO: dict[str, Any] = {"currentRevision": "a", "updateRevision": "b", "updatedReplicas": 1}

TABLE: list[tuple[Object | None, str, str]] = [
    (None, "Missing", "does not exist"),
    # Deployment
    (deployment(), "Healthy", "3 of 3 replicas are available"),
    (deployment(observedGeneration=GENERATION - 1), "Progressing", "has seen generation 2 of 3"),
    (deployment(observedGeneration=None), "Progressing", "has seen generation none of 3"),
    (deployment(updatedReplicas=2), "Progressing", "2 of 3 replicas are updated"),
    (deployment(updatedReplicas=None), "Progressing", "0 of 3 replicas are updated"),
    (deployment(replicas=4), "Progressing", "1 old replicas are still to go"),
    (deployment(availableReplicas=2), "Progressing", "2 of 3 replicas are available"),
    (deployment(availableReplicas=2, conditions=[STUCK]), "Degraded", "rollout is stuck: .* timed out"),
    (deployment(updatedReplicas=0, conditions=[QUOTA]), "Degraded", "cannot be made: .* exceeded quota"),
    (deployment({"paused": True}), "Suspended", "paused"),
    (deployment({"replicas": 0}, replicas=0, updatedReplicas=0, availableReplicas=0), "Suspended", "scaled to zero"),
    (deployment({"replicas": 0}, replicas=2, updatedReplicas=0), "Progressing", "2 old replicas"),
    (deployment({"replicas": None}, replicas=1, updatedReplicas=1, availableReplicas=1), "Healthy", "1 of 1"),
    # StatefulSet
    (stateful_set(), "Healthy", "3 of 3"),
    (stateful_set(observedGeneration=None), "Progressing", "generation none"),
    (stateful_set(readyReplicas=2), "Progressing", "2 of 3 replicas are ready"),
    (stateful_set(availableReplicas=1), "Progressing", "1 of 3 replicas are available"),
    (stateful_set(**ONE_OF_TWO), "Progressing", "1 of 3 replicas are updated"),
    (stateful_set({"updateStrategy": {"type": "OnDelete"}}, **ONE_OF_TWO), "Healthy", "3 of 3"),
    (stateful_set({"updateStrategy": {"rollingUpdate": {"partition": 2}}}, **ONE_OF_TWO), "Healthy", "3 of 3"),
    (stateful_set({"updateStrategy": {"rollingUpdate": {"partition": 1}}}, **ONE_OF_TWO), "Progressing", "1 of 2 replicas"),
    # DaemonSet
    (daemon_set(), "Healthy", "2 of 2 nodes have an available pod"),
    (daemon_set(observedGeneration=1), "Progressing", "generation 1 of 3"),
    (daemon_set(updatedNumberScheduled=1), "Progressing", "1 of 2 nodes run the updated pod"),
    (daemon_set({"updateStrategy": {"type": "OnDelete"}}, updatedNumberScheduled=1), "Healthy", "2 of 2"),
    (daemon_set(numberAvailable=None), "Progressing", "0 of 2 nodes"),
    (daemon_set(desiredNumberScheduled=None), "Progressing", "has not reported"),
    (daemon_set(desiredNumberScheduled=0, updatedNumberScheduled=0, numberAvailable=0), "Healthy", "no node should"),
    # ReplicaSet
    (make("ReplicaSet", "apps/v1", {"replicas": 1}, {"observedGeneration": 3, "availableReplicas": 1}), "Healthy", "1 of 1"),
    (make("ReplicaSet", "apps/v1", {"replicas": 1}, {"observedGeneration": 3}), "Progressing", "0 of 1"),
    (make("ReplicaSet", "apps/v1", {"replicas": 1}, {"observedGeneration": 3, "conditions": [QUOTA]}), "Degraded", "quota"),
    # Pod
    (pod("Running", conditions=[READY]), "Healthy", "is ready"),
    (pod("Running", conditions=[NOT_READY]), "Progressing", r"unready status: \[app\]"),
    (pod("Running"), "Progressing", "has not reported"),
    (pod("Running", conditions=[NOT_READY], waiting="CrashLoopBackOff"), "Degraded", r"app: CrashLoopBackOff \(why\)"),
    (pod("Pending", waiting="ImagePullBackOff"), "Degraded", "ImagePullBackOff"),
    (pod("Pending", waiting="CreateContainerConfigError", init=True), "Degraded", "CreateContainerConfigError"),
    (pod("Pending", waiting="ContainerCreating"), "Progressing", "are starting"),
    (pod("Pending", conditions=[condition("PodScheduled", "False", "Unschedulable", "no node")]), "Progressing", "Unschedulable: no node"),
    (pod("Succeeded"), "Healthy", "to its end"),
    (pod("Failed"), "Degraded", "failed"),
    (pod("Unknown", conditions=[READY]), "Unknown", "its node may be lost"),
    (pod(None), "Unknown", "not reported"),
    # Job
    (make("Job", "batch/v1", {}, {"conditions": [condition("Complete", "True")]}), "Healthy", "complete"),
    (make("Job", "batch/v1", {}, {"conditions": [condition("Failed", "True", "BackoffLimitExceeded")]}), "Degraded", "Backoff"),
    (make("Job", "batch/v1", {}, {"conditions": [condition("FailureTarget", "True", "PodFailurePolicy")]}), "Degraded", "PodFailure"),
    (make("Job", "batch/v1", {"suspend": True}, {}), "Suspended", "suspended"),
    (make("Job", "batch/v1", {}, {"active": 1, "failed": 2}), "Progressing", "1 active, 0 succeeded, 2 failed"),
    # PersistentVolumeClaim
    (make("PersistentVolumeClaim", "v1", {"volumeName": "pv-1"}, {"phase": "Bound"}), "Healthy", "bound to pv-1"),
    (make("PersistentVolumeClaim", "v1", {}, {"phase": "Bound", "conditions": [condition("Resizing", "True")]}), "Progressing", "resized"),
    (make("PersistentVolumeClaim", "v1", {}, {"phase": "Pending"}), "Progressing", "waits for a volume"),
    (make("PersistentVolumeClaim", "v1", {}, {"phase": "Lost"}), "Degraded", "lost"),
    (make("PersistentVolumeClaim", "v1", {}, {"phase": "Odd"}), "Unknown", "Odd"),
    # Service
    (make("Service", "v1", {"type": "ClusterIP"}, {}), "Healthy", "exists"),
    (make("Service", "v1", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{"ip": "10.1.2.3"}]}}), "Healthy", "10.1.2.3"),
    (make("Service", "v1", {"type": "LoadBalancer"}, {"loadBalancer": {}}), "Progressing", "no address"),
    (make("Service", "v1", {"type": "LoadBalancer"}, {"loadBalancer": {"ingress": [{}]}}), "Progressing", "no address"),
    # Namespace, Node, CustomResourceDefinition
    (make("Namespace", "v1", {}, {"phase": "Active"}), "Healthy", "active"),
    (make("Namespace", "v1", {}, {}), "Unknown", "None"),
    (make("Node", "v1", {}, {"conditions": [READY]}), "Healthy", "ready"),
    (make("Node", "v1", {"unschedulable": True}, {"conditions": [READY]}), "Suspended", "cordoned"),
    (make("Node", "v1", {}, {"conditions": [condition("Ready", "Unknown", "NodeStatusUnknown")]}), "Unknown", "does not report"),
    (make("Node", "v1", {}, {"conditions": [NOT_READY]}), "Degraded", "not ready"),
    (make("Node", "v1", {}, {}), "Unknown", "has not reported"),
    (
        make("CustomResourceDefinition", "apiextensions.k8s.io/v1", {}, {"conditions": [condition("Established", "True")]}),
        "Healthy",
        "established",
    ),
    (make("CustomResourceDefinition", "apiextensions.k8s.io/v1", {}, {}), "Progressing", "not served"),
    (
        make("CustomResourceDefinition", "apiextensions.k8s.io/v1", {}, {"conditions": [condition("NamesAccepted", "False")]}),
        "Degraded",
        "names are taken",
    ),
    # Anything else
    (make("ConfigMap", "v1", {}, {}), "Healthy", "exists"),
    (make("Role", "rbac.authorization.k8s.io/v1", {}, {}), "Healthy", "exists"),
    (make("Secret", "example.com/v1", {}, {}), "Unknown", "no Ready condition"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [READY]}), "Healthy", "ready"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [READY | {"observedGeneration": 2}]}), "Progressing", "older generation"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [READY], "observedGeneration": 2}), "Progressing", "generation 2 of 3"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [NOT_READY]}), "Progressing", "not ready"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [condition("Ready", "Unknown")]}), "Unknown", "does not know"),
    (make("Certificate", "cert-manager.io/v1", {}, {"conditions": [condition("Ready", "yes")]}), "Unknown", "does not know"),
    (make("Thing", "example.com/v1", {}, {}), "Unknown", "no Ready condition"),
    (make("Thing", "example.com/v1", {}, {"conditions": [READY, condition("Stalled", "True", "x")]}), "Degraded", "stuck"),
    (make("Thing", "example.com/v1", {}, {"conditions": [READY, condition("Reconciling", "True")]}), "Progressing", "worked on"),
    (deployment() | {"metadata": {"deletionTimestamp": "2026-11-24T10:00:00Z"}}, "Progressing", "being deleted"),
]


@pytest.mark.parametrize(("body", "status", "reason"), TABLE, ids=[f"{(b or {}).get('kind')}-{s}-{r}" for b, s, r in TABLE])
def test_health(body: Object | None, status: str, reason: str) -> None:
    found = health.of(body)

    assert (found.status, bool(re.search(reason, found.reason))) == (status, True), found


def test_every_rule_is_in_the_table() -> None:
    tabled = {(b["apiVersion"].rpartition("/")[0], b["kind"]) for b, _, _ in TABLE if b}

    assert set(health.RULES) - tabled == {("postgresql.cnpg.io", "Cluster")}


@pytest.mark.parametrize(
    ("sample", "status", "reason"),
    [
        ("healthy", "Healthy", "2 of 2 instances are ready, cmp-postgres-1 is the primary"),
        ("restored", "Healthy", "1 of 1 instances are ready, cmp-postgres-restored-1 is the primary"),
        ("not-archiving", "Healthy", "2 of 2 instances are ready, cmp-postgres-2 is the primary"),
        ("setting-up-primary", "Progressing", "Setting up primary: Creating primary instance cmp-postgres-1"),
        (
            "waiting-for-instances",
            "Progressing",
            "Waiting for the instances to become active: Some instances are not yet active. Please wait.",
        ),
        ("failing-over", "Progressing", "Failing over: Failing over from cmp-postgres-2 to cmp-postgres-1"),
        ("after-failover", "Progressing", "Waiting for the instances to become active: Some instances are not yet active. Please wait."),
        ("switchover", "Progressing", "Switchover in progress: Switching over to cmp-postgres-2"),
    ],
)
def test_health_of_clusters_as_they_were_seen(sample: str, status: str, reason: str) -> None:
    assert health.of(cluster(sample)) == health.Health(status, reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "status", "reason"),
    [
        ({"status": {"phase": "Cluster in splendid state"}}, "Unknown", "its phase is Cluster in splendid state"),
        ({"status": {"phase": None}}, "Unknown", "its phase is not reported yet"),
        ({"status": {"phase": "Cluster is unrecoverable and needs manual intervention"}}, "Degraded", "unrecoverable"),
        ({"status": {"readyInstances": 1}}, "Progressing", "1 of 2 instances are ready"),
        ({"status": {"readyInstances": None}}, "Progressing", "0 of 2 instances are ready"),
        ({"status": {"readyInstances": 3}}, "Progressing", "3 of 2 instances are ready"),
        ({"status": {"conditions": []}}, "Progressing", "no Ready condition yet"),
        ({"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "Progressing", "not ready: Ready=False"),
        ({"status": {"targetPrimary": "cmp-postgres-2"}}, "Progressing", "its primary is cmp-postgres-1 and should be cmp-postgres-2"),
        ({"status": {"currentPrimary": None}}, "Progressing", "its primary is not known"),
        ({"metadata": {"annotations": {"cnpg.io/hibernation": "on"}}}, "Suspended", "it hibernates"),
        ({"metadata": {"annotations": {"cnpg.io/hibernation": "off"}}}, "Healthy", "2 of 2"),
        ({"metadata": {"annotations": {"cnpg.io/fencedInstances": '["*"]'}}}, "Suspended", "fenced: every instance"),
        ({"metadata": {"annotations": {"cnpg.io/fencedInstances": '["cmp-postgres-2"]'}}}, "Suspended", "fenced: cmp-postgres-2"),
        ({"metadata": {"annotations": {"cnpg.io/fencedInstances": "[]"}}}, "Healthy", "2 of 2"),
        ({"metadata": {"annotations": {"cnpg.io/fencedInstances": "cmp-postgres-2"}}}, "Unknown", "cannot be read"),
    ],
)
def test_health_of_a_cluster_with_one_thing_changed(change: dict[str, Any], status: str, reason: str) -> None:
    body = cluster("healthy")
    for part, values in change.items():
        body[part] = body[part] | values

    found = health.of(body)

    assert found.status == status
    assert reason in found.reason


@given(phase=st.text(max_size=60))
def test_no_phase_but_the_healthy_one_is_healthy(phase: str) -> None:
    body = cluster("healthy")
    body["status"]["phase"] = phase

    assert health.of(body).healthy == (phase == "Cluster in healthy state")


@given(
    kind=st.sampled_from([kind for _, kind in health.RULES]),
    counts=st.dictionaries(st.sampled_from(["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"]), st.integers(0, 5)),
    observed=st.one_of(st.none(), st.integers(0, GENERATION - 1)),
)
def test_a_status_about_an_older_generation_is_never_healthy(kind: str, counts: dict[str, int], observed: int | None) -> None:
    version = "apps/v1"
    if kind not in ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"):
        return
    body = make(kind, version, {"replicas": 1}, counts | {"observedGeneration": observed})

    assert health.of(body).status == "Progressing"
