"""Every kind of a bare API server that we use: whether it counts generations, serves a status, and what status it begins with."""

from dataclasses import dataclass
from typing import Any

import pytest

from gsv_ops.kube import errors, objects, resources
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.kube.resources import (
    AUTOSCALER,
    CONFIG_MAP,
    CRON_JOB,
    DAEMON_SET,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    ENDPOINT_SLICE,
    EVENT,
    INGRESS,
    JOB,
    LEASE,
    LIMIT_RANGE,
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    RESOURCE_QUOTA,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    STATEFUL_SET,
    STORAGE_CLASS,
)

RBAC = "rbac.authorization.k8s.io"
POD_SPEC = {"containers": [{"name": "c", "image": "none.invalid/none"}]}
TEMPLATE = {"metadata": {"labels": {"a": "b"}}, "spec": POD_SPEC}
ENDING = {"spec": {**POD_SPEC, "restartPolicy": "Never"}}
WORKLOAD = {"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": TEMPLATE}}


@dataclass(frozen=True)
class Facts:
    """The least that makes one, and what the server adds. `status`: its first one, None for a kind that has none."""

    body: Object
    generation: int | None = None
    status: Object | None = None


KINDS: dict[Resource, Facts] = {
    NAMESPACE: Facts({}, status={"phase": "Active"}),
    NODE: Facts({}, status={}),
    POD: Facts({"spec": POD_SPEC}, 1, {"phase": "Pending"}),
    ROLE: Facts({"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    ROLE_BINDING: Facts({"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "x"}}),
    SERVICE_ACCOUNT: Facts({}),
    SERVICE: Facts({"spec": {"ports": [{"port": 80}]}}, status={"loadBalancer": {}}),
    SECRET: Facts({}),
    EVENT: Facts({"reason": "x"}),
    CONFIG_MAP: Facts({}),
    PERSISTENT_VOLUME_CLAIM: Facts(
        {"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}, status={"phase": "Pending"}
    ),
    PERSISTENT_VOLUME: Facts(
        {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/none"}}},
        status={"phase": "Pending"},
    ),
    RESOURCE_QUOTA: Facts({"spec": {"hard": {"pods": "1k"}}}, status={}),
    LIMIT_RANGE: Facts({"spec": {"limits": [{"type": "Pod", "max": {"cpu": "4"}}]}}),
    DEPLOYMENT: Facts(WORKLOAD, 1, {}),
    REPLICA_SET: Facts(WORKLOAD, 1, {"replicas": 0}),
    STATEFUL_SET: Facts(WORKLOAD, 1, {"replicas": 0, "availableReplicas": 0}),
    DAEMON_SET: Facts(WORKLOAD, 1, {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0}),
    AUTOSCALER: Facts(
        {"spec": {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}},
        status={"currentMetrics": None, "desiredReplicas": 0},
    ),
    DISRUPTION_BUDGET: Facts(
        {"spec": {"maxUnavailable": 1}}, 1, {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0}
    ),
    CRON_JOB: Facts({"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": {"template": ENDING}}}}, 1, {}),
    JOB: Facts({"spec": {"template": ENDING}}, 1, {}),
    INGRESS: Facts({"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}, 1, {"loadBalancer": {}}),
    NETWORK_POLICY: Facts({"spec": {"podSelector": {}}}, 1),
    STORAGE_CLASS: Facts({"provisioner": "example.com/none"}),
    ENDPOINT_SLICE: Facts({"addressType": "IPv4", "endpoints": []}, 1),
    LEASE: Facts({"spec": {"holderIdentity": "a"}}),
}


def test_no_kind_is_forgotten() -> None:
    assert set(KINDS) == {kind for kind in resources.ALL if "." not in kind.group or kind.group.endswith(".k8s.io")}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_a_kind_begins_as_it_does(kube: Kube, namespace: str, kind: Resource) -> None:
    facts, place = KINDS[kind], namespace if kind.namespaced else None
    name = f"{namespace}-a"
    metadata: dict[str, Any] = {"name": name} | ({"namespace": namespace} if kind.namespaced else {})
    involved = {"involvedObject": {"kind": "Pod", "name": "p", "namespace": namespace}} if kind == EVENT else {}

    made = kube.create({"apiVersion": kind.api_version, "kind": kind.kind, "metadata": metadata, **facts.body, **involved})

    assert objects.at(made, "metadata", "generation") == facts.generation
    status = made.get("status")
    # The fake reckons no quality of service, stamps no volume, and knows no more of a node than it is told.
    assert (
        status is None
        or {k: v for k, v in status.items() if k not in ("qosClass", "daemonEndpoints", "nodeInfo", "lastPhaseTransitionTime")}
        == facts.status
    )
    assert (status is None) == (facts.status is None)
    if facts.status is None:
        with pytest.raises(errors.NotServed):
            kube.patch(kind, name, place, {"status": {}}, subresource="status")
    else:
        kube.patch(kind, name, place, {"status": {}}, subresource="status")
