"""A workload at rest with all that surrounds it, and what makes each of it another."""

from typing import Any

from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance.workload import Seen
from gsv_ops.operations.operation import PlanFrame


def frame(operation: str) -> PlanFrame:
    return PlanFrame(operation, "dev", "c-1", {})


def container(name: str = "web", **more: Any) -> Object:
    return {"name": name, "image": "x", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}, **more}


def workload(
    kind: str = "Deployment", replicas: int = 2, *, spec: Object | None = None, status: Object | None = None, **metadata: Any
) -> Object:
    """One whose rollout is complete."""
    counts: Object = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas)
    if kind == "StatefulSet":
        counts |= {"currentRevision": "r1", "updateRevision": "r1"}
    if kind == "DaemonSet":
        counts = dict.fromkeys(("desiredNumberScheduled", "updatedNumberScheduled", "numberAvailable"), replicas)
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container()]}}
    own = {} if kind == "DaemonSet" else {"replicas": replicas}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": "web", "namespace": "cmp", "uid": "u-web", "generation": 3, **metadata},
        "spec": {**own, "selector": {"matchLabels": {"app": "web"}}, "template": template, **(spec or {})},
        "status": {"observedGeneration": 3, **counts, **(status or {})},
    }


def pod(name: str = "p", node: str = "n1", cpu: str = "100m", **metadata: Any) -> Object:
    spec = {"nodeName": node, "containers": [{"name": "web", "resources": {"requests": {"cpu": cpu}}}]}
    ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "cmp", "uid": f"u-{name}", **metadata}}
    return {**body, "spec": spec, "status": ready}


def node(name: str = "n1", cpu: str = "4", *, spec: Object | None = None, ready: str = "True", **labels: str) -> Object:
    status = {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "10"}, "conditions": [{"type": "Ready", "status": ready}]}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "uid": name, "labels": labels},
        "spec": spec or {},
        "status": status,
    }


def budget(**spec: Any) -> Object:
    body = {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "pdb", "namespace": "cmp", "uid": "u-pdb"}}
    return {**body, "spec": {"selector": {"matchLabels": {"app": "web"}}, **spec}}


def quota(hard: dict[str, str], used: dict[str, str], **spec: Any) -> Object:
    body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q", "namespace": "cmp", "uid": "u-q"}}
    return {**body, "spec": spec, "status": {"hard": hard, "used": used}}


def limit_range(type_: str = "Container", **limits: Any) -> Object:
    body = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "lr", "namespace": "cmp", "uid": "u-lr"}}
    return {**body, "spec": {"limits": [{"type": type_, **limits}]}}


def application(name: str = "web", *, heals: bool = True, **spec: Any) -> Object:
    automated = {"syncPolicy": {"automated": {"selfHeal": heals}}}
    source = {"source": {"repoURL": "https://git.invalid/gitops", "path": "charts/web", "helm": {"valueFiles": ["values-dev.yaml"]}}}
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "uid": "u-a"},
        "spec": automated | source | spec,
    }


def seen(body: Object | None = None, **more: Any) -> Seen:
    """With one node that has room, and the workload's two pods on it."""
    pods = (pod("p1"), pod("p2"))
    return Seen(body or workload(), **{"pods": pods, "everywhere": pods, "nodes": (node(),), **more})
