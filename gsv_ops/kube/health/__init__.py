"""Whether an object is well, read off the object alone.

What is not known is never taken for good: an object counts as Healthy only where a rule for its kind says so. The rules are those of
`kubectl rollout status` and of kstatus (sigs.k8s.io/cli-utils/pkg/kstatus), and they ask first whether the status is about the
generation that was asked for: an old status says nothing about a new spec.
"""

from __future__ import annotations

from collections.abc import Callable

from gsv_ops.kube import objects
from gsv_ops.kube.health import conditions, platform, postgres, workloads
from gsv_ops.kube.health.verdict import Health, Status
from gsv_ops.kube.protocol import Object

__all__ = ["RULES", "Health", "Status", "of"]

RULES: dict[tuple[str, str], Callable[[Object], Health]] = {
    ("apps", "Deployment"): workloads.deployment,
    ("apps", "StatefulSet"): workloads.stateful_set,
    ("apps", "DaemonSet"): workloads.daemon_set,
    ("apps", "ReplicaSet"): workloads.replica_set,
    ("", "Pod"): workloads.pod,
    ("batch", "Job"): workloads.job,
    ("", "PersistentVolumeClaim"): platform.volume_claim,
    ("", "Service"): platform.service,
    ("", "Namespace"): platform.namespace,
    ("", "Node"): platform.node,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): platform.custom_resource_definition,
    ("postgresql.cnpg.io", "Cluster"): postgres.cluster,
}
# Kinds that have nothing to report: to be stored is all that they do.
WITHOUT_STATUS = frozenset(
    {
        "ClusterRole",
        "ClusterRoleBinding",
        "ConfigMap",
        "IngressClass",
        "Lease",
        "LimitRange",
        "NetworkPolicy",
        "PriorityClass",
        "ResourceQuota",
        "Role",
        "RoleBinding",
        "Secret",
        "ServiceAccount",
        "StorageClass",
    }
)


def of(body: Object | None) -> Health:
    """The health of any object; None stands for one that does not exist."""
    if body is None:
        return Health("Missing", "it does not exist")
    if objects.deleting(body):
        return Health("Progressing", "it is being deleted")
    kind = str(body.get("kind", ""))
    group = str(body.get("apiVersion", "")).rpartition("/")[0]
    rule = RULES.get((group, kind))
    if rule is None and kind in WITHOUT_STATUS and (not group or group.endswith(".k8s.io")):
        return Health("Healthy", "it exists")
    return conditions.stale(body) or (rule or conditions.by_conditions)(body)
