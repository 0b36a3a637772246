"""What the two identities that the platform hands out may do: the operator's desk, and a reader."""

from __future__ import annotations

from gsv_sandbox.api import Body
from gsv_sandbox.pki import OPERATOR_USER, READONLY_USER

READ = ["get", "list", "watch"]
RBAC = "rbac.authorization.k8s.io"
DATABASE_NAMESPACE = "cmp"


def rules(group: str, resources: list[str], verbs: list[str]) -> Body:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}


SEES = [
    rules(
        "",
        [
            "namespaces",
            "pods",
            "services",
            "endpoints",
            "events",
            "persistentvolumeclaims",
            "persistentvolumes",
            "resourcequotas",
            "limitranges",
            "nodes",
            "configmaps",
            "serviceaccounts",
        ],
        READ,
    ),
    rules("events.k8s.io", ["events"], READ),
    rules("storage.k8s.io", ["storageclasses"], READ),
    rules("batch", ["jobs", "cronjobs"], READ),
    rules("apps", ["deployments", "replicasets", "statefulsets", "daemonsets"], READ),
    rules("autoscaling", ["horizontalpodautoscalers"], READ),
    rules("policy", ["poddisruptionbudgets"], READ),
    rules("metrics.k8s.io", ["pods", "nodes"], ["get", "list"]),
    rules("argoproj.io", ["applications"], READ),
    rules("discovery.k8s.io", ["endpointslices"], READ),
    rules("networking.k8s.io", ["networkpolicies", "ingresses"], READ),
    rules("metrics.k8s.io", ["nodes", "pods"], ["get", "list"]),
    rules("argoproj.io", ["applications"], READ),
    rules("apiextensions.k8s.io", ["customresourcedefinitions"], READ),
    rules("postgresql.cnpg.io", ["clusters", "backups", "scheduledbackups", "databases"], READ),
    rules("postgresql.cnpg.io", ["clusters/status", "backups/status"], ["get"]),
    rules("barmancloud.cnpg.io", ["objectstores", "objectstores/status"], READ),
    rules("coordination.k8s.io", ["leases"], READ),
    rules("", ["pods/log"], ["get"]),
]

OPERATES = [
    rules("", ["pods/exec", "pods/portforward"], ["create", "get"]),
    rules("postgresql.cnpg.io", ["clusters", "backups"], ["create", "patch", "delete"]),
    rules("postgresql.cnpg.io", ["clusters/status"], ["patch"]),  # the target primary stands there, as CloudNativePG's own promote sets it
    rules("networking.k8s.io", ["networkpolicies"], ["create", "patch", "delete"]),
    rules("coordination.k8s.io", ["leases"], ["create", "update", "patch", "delete"]),
    # What cleanups delete, undo creates again.
    rules("apps", ["replicasets"], ["create", "delete"]),
    rules("batch", ["jobs"], ["create", "delete"]),
    rules("", ["pods"], ["create", "delete"]),
    # Restarts, scaling and tuning; the rest of a workload is Git's.
    rules("apps", ["deployments", "statefulsets", "daemonsets"], ["patch"]),
    rules("autoscaling", ["horizontalpodautoscalers"], ["create", "patch", "delete"]),
    # A dry run of a write and "may I?" are asked before anything is changed.
    rules("authorization.k8s.io", ["selfsubjectaccessreviews"], ["create"]),
]

# Secrets only where the database is: its users' passwords are read at the moment of connecting.
READS_SECRETS = [rules("", ["secrets"], ["get"])]

# To read kubelets through the API server: nearly root on every node, so it belongs to an identity that is taken for that alone.
LOGS = "gsv-ops-logs"
READS_KUBELETS = [rules("", ["nodes/proxy"], ["get"])]
TAKES_LOGS = [{**rules("", ["serviceaccounts/token"], ["create"]), "resourceNames": [LOGS]}]

# To ask and prune a node's images: a Job that reaches the runtime's socket is root there, so only this identity makes it, in one namespace.
IMAGES = "gsv-ops-images"
ASKS_RUNTIMES = [rules("batch", ["jobs"], ["create", "get", "list", "delete"])]
TAKES_IMAGES = [{**rules("", ["serviceaccounts/token"], ["create"]), "resourceNames": [IMAGES]}]
# What the Job's pod runs as: it has no right, and no token.
ON_NODE = f"{IMAGES}-node"


def manifest() -> list[Body]:
    """The roles and their bindings: the desk's, the reader's, and the ServiceAccounts that may read kubelets and ask runtimes."""
    return [
        _role("ClusterRole", "gsv-ops", [*SEES, *OPERATES]),
        _binding("ClusterRole", "gsv-ops", OPERATOR_USER),
        _role("ClusterRole", "gsv-readonly", SEES),
        _binding("ClusterRole", "gsv-readonly", READONLY_USER),
        _role("Role", "gsv-ops-secrets", READS_SECRETS, DATABASE_NAMESPACE),
        _binding("Role", "gsv-ops-secrets", OPERATOR_USER, DATABASE_NAMESPACE),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(LOGS, DATABASE_NAMESPACE)},
        _role("ClusterRole", LOGS, READS_KUBELETS),
        {**_binding("ClusterRole", LOGS, ""), "subjects": [{"kind": "ServiceAccount", "name": LOGS, "namespace": DATABASE_NAMESPACE}]},
        _role("Role", f"{LOGS}-token", TAKES_LOGS, DATABASE_NAMESPACE),
        _binding("Role", f"{LOGS}-token", OPERATOR_USER, DATABASE_NAMESPACE),
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(IMAGES, DATABASE_NAMESPACE)},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": _metadata(ON_NODE, DATABASE_NAMESPACE),
            "automountServiceAccountToken": False,
        },
        _role("Role", IMAGES, ASKS_RUNTIMES, DATABASE_NAMESPACE),
        {
            **_binding("Role", IMAGES, "", DATABASE_NAMESPACE),
            "subjects": [{"kind": "ServiceAccount", "name": IMAGES, "namespace": DATABASE_NAMESPACE}],
        },
        _role("Role", f"{IMAGES}-token", TAKES_IMAGES, DATABASE_NAMESPACE),
        _binding("Role", f"{IMAGES}-token", OPERATOR_USER, DATABASE_NAMESPACE),
    ]


def _role(kind: str, name: str, role_rules: list[Body], namespace: str | None = None) -> Body:
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": _metadata(name, namespace), "rules": role_rules}


def _binding(kind: str, role: str, user: str, namespace: str | None = None) -> Body:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": _metadata(role, namespace),
        "roleRef": {"apiGroup": RBAC, "kind": kind, "name": role},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": user}],
    }


def _metadata(name: str, namespace: str | None) -> Body:
    return {"name": name} if namespace is None else {"name": name, "namespace": namespace}
