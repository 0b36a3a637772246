"""The kinds of object that gsv_ops reads or writes."""

from __future__ import annotations

from gsv_ops.kube.protocol import Resource

NAMESPACE = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
NODE = Resource("", "v1", "nodes", "Node", namespaced=False)
POD = Resource("", "v1", "pods", "Pod")
ROLE = Resource("rbac.authorization.k8s.io", "v1", "roles", "Role")
ROLE_BINDING = Resource("rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding")
SERVICE_ACCOUNT = Resource("", "v1", "serviceaccounts", "ServiceAccount")
SERVICE = Resource("", "v1", "services", "Service")
SECRET = Resource("", "v1", "secrets", "Secret")
EVENT = Resource("", "v1", "events", "Event")
CONFIG_MAP = Resource("", "v1", "configmaps", "ConfigMap")
PERSISTENT_VOLUME_CLAIM = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUME = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
RESOURCE_QUOTA = Resource("", "v1", "resourcequotas", "ResourceQuota")
LIMIT_RANGE = Resource("", "v1", "limitranges", "LimitRange")
DEPLOYMENT = Resource("apps", "v1", "deployments", "Deployment")
REPLICA_SET = Resource("apps", "v1", "replicasets", "ReplicaSet")
STATEFUL_SET = Resource("apps", "v1", "statefulsets", "StatefulSet")
DAEMON_SET = Resource("apps", "v1", "daemonsets", "DaemonSet")
AUTOSCALER = Resource("autoscaling", "v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
DISRUPTION_BUDGET = Resource("policy", "v1", "poddisruptionbudgets", "PodDisruptionBudget")
CRON_JOB = Resource("batch", "v1", "cronjobs", "CronJob")
JOB = Resource("batch", "v1", "jobs", "Job")
INGRESS = Resource("networking.k8s.io", "v1", "ingresses", "Ingress")
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
STORAGE_CLASS = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
ENDPOINT_SLICE = Resource("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
LEASE = Resource("coordination.k8s.io", "v1", "leases", "Lease")

POSTGRES_CLUSTER = Resource("postgresql.cnpg.io", "v1", "clusters", "Cluster")
POSTGRES_BACKUP = Resource("postgresql.cnpg.io", "v1", "backups", "Backup")
SCHEDULED_BACKUP = Resource("postgresql.cnpg.io", "v1", "scheduledbackups", "ScheduledBackup")
OBJECT_STORE = Resource("barmancloud.cnpg.io", "v1", "objectstores", "ObjectStore")
APPLICATION = Resource("argoproj.io", "v1alpha1", "applications", "Application")

NODE_METRICS = Resource("metrics.k8s.io", "v1beta1", "nodes", "NodeMetrics", namespaced=False)
POD_METRICS = Resource("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
"""Only to be read, and only where a metrics server is: so neither is among ALL."""

ALL: tuple[Resource, ...] = (
    NAMESPACE,
    NODE,
    POD,
    ROLE,
    ROLE_BINDING,
    SERVICE_ACCOUNT,
    SERVICE,
    SECRET,
    EVENT,
    CONFIG_MAP,
    PERSISTENT_VOLUME_CLAIM,
    PERSISTENT_VOLUME,
    RESOURCE_QUOTA,
    LIMIT_RANGE,
    DEPLOYMENT,
    REPLICA_SET,
    STATEFUL_SET,
    DAEMON_SET,
    AUTOSCALER,
    DISRUPTION_BUDGET,
    CRON_JOB,
    JOB,
    INGRESS,
    NETWORK_POLICY,
    STORAGE_CLASS,
    ENDPOINT_SLICE,
    LEASE,
    POSTGRES_CLUSTER,
    POSTGRES_BACKUP,
    SCHEDULED_BACKUP,
    OBJECT_STORE,
    APPLICATION,
)
BY_KIND: dict[tuple[str, str], Resource] = {(r.api_version, r.kind): r for r in ALL}


def of(body: dict[str, object]) -> Resource:
    """The resource of an object by its apiVersion and kind. Raises ValueError for one gsv_ops has no entry for."""
    key = (str(body.get("apiVersion", "")), str(body.get("kind", "")))
    try:
        return BY_KIND[key]
    except KeyError:
        raise ValueError(f"no resource is known for apiVersion {key[0]!r}, kind {key[1]!r}; add it to kube/resources.py") from None
