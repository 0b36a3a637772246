"""What every operation on a workload shares: which one, and all that is looked at before it is touched."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Self

from pydantic import Field, model_validator

from gsv_ops.kube import objects, resources
from gsv_ops.kube.errors import KubeError, NotFound, NotServed
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.kube.resources import (
    APPLICATION,
    AUTOSCALER,
    DAEMON_SET,
    DEPLOYMENT,
    DISRUPTION_BUDGET,
    LIMIT_RANGE,
    NODE,
    POD,
    POSTGRES_CLUSTER,
    REPLICA_SET,
    RESOURCE_QUOTA,
    STATEFUL_SET,
)
from gsv_ops.maintenance.availability import selector_text
from gsv_ops.maintenance.holders import Tracking, tracked_by
from gsv_ops.maintenance.seen import Absent, Listed
from gsv_ops.operations.operation import Desk, OperationFailed, Params
from gsv_ops.operations.plan import Target

Kind = Literal["Deployment", "StatefulSet", "DaemonSet"]
KINDS: dict[str, Resource] = {kind.kind: kind for kind in (DEPLOYMENT, STATEFUL_SET, DAEMON_SET)}


class OfWorkload(Params):
    """Which workload."""

    namespace: str = Field(default="cmp", description="One of the platform's namespaces.")
    name: str = Field(default="", description="The workload's name, such as agent-registry. It must be given.")
    kind: Kind = Field(default="Deployment", description="What it is.")

    @model_validator(mode="after")
    def _named(self) -> Self:
        if not self.name:
            raise ValueError("name is not given; expected the workload's name, such as agent-registry")
        return self


@dataclass(frozen=True)
class Seen:
    """The workload and what decides what may be done to it.

    `everywhere` are all pods of the cluster, `pods` its own, `usage` what metrics.k8s.io measured of the namespace's pods.
    """

    workload: Object
    pods: tuple[Object, ...] = ()
    autoscalers: tuple[Object, ...] = ()
    budgets: tuple[Object, ...] = ()
    quotas: tuple[Object, ...] = ()
    ranges: tuple[Object, ...] = ()
    nodes: tuple[Object, ...] = ()
    everywhere: tuple[Object, ...] = ()
    tracking: Tracking = field(default_factory=Tracking)
    usage: Listed = field(default_factory=lambda: Absent("it was not looked at"))

    @property
    def target(self) -> Target:
        """The workload as a plan names it."""
        return target_of(self.workload)


def observe(desk: Desk, params: OfWorkload) -> Seen:
    """Everything. Raises OperationFailed for a namespace or name that is wrong, with near ones, and KubeError."""
    workload = find(desk, params)
    kube, namespace = desk.kube, params.namespace
    everywhere = tuple(kube.list(POD))
    autoscalers = (body for body in kube.list(AUTOSCALER, namespace) if scales(body, workload))
    return Seen(
        workload,
        pods=pods_of(desk, workload),
        autoscalers=tuple(autoscalers),
        budgets=tuple(kube.list(DISRUPTION_BUDGET, namespace)),
        quotas=tuple(kube.list(RESOURCE_QUOTA, namespace)),
        ranges=tuple(kube.list(LIMIT_RANGE, namespace)),
        nodes=tuple(kube.list(NODE)),
        everywhere=everywhere,
        tracking=tracking_of(desk, workload),
    )


def find(desk: Desk, params: OfWorkload) -> Object:
    """The workload. Raises OperationFailed that says what there is instead."""
    if params.namespace not in desk.spec.namespaces:
        raise OperationFailed(
            f"namespace {params.namespace!r} is none of the platform's: expected {_one_of(params.namespace, desk.spec.namespaces)}. "
            "Its components and their namespaces stand in platform.yaml."
        )
    resource = KINDS[params.kind]
    try:
        return desk.kube.get(resource, params.name, params.namespace)
    except NotFound as problem:
        raise OperationFailed(f"{problem}{_instead(desk, params)}", f"kubectl get {resource.plural} -n {params.namespace}") from None


def pods_of(desk: Desk, workload: Object) -> tuple[Object, ...]:
    """The workload's own pods: chosen by its selector, and controlled by it or by one of its ReplicaSets."""
    namespace, selector = objects.namespace(workload), selector_text(at(workload, "spec", "selector", default={}))
    uids = {objects.uid(workload)}
    if workload["kind"] == DEPLOYMENT.kind:
        sets = desk.kube.list(REPLICA_SET, namespace, labels=selector, metadata_only=True)
        uids = {objects.uid(body) for body in sets if (owner := objects.controller(body)) and owner.uid in uids}
    found = desk.kube.list(POD, namespace, labels=selector)
    return tuple(pod for pod in found if (owner := objects.controller(pod)) and owner.uid in uids)


def tracking_of(desk: Desk, body: Object) -> Tracking:
    """The Application that tracks the object, where there is one."""
    name = tracked_by(body)
    if not name:
        return Tracking()
    try:
        found = desk.kube.list(APPLICATION, fields=f"metadata.name={name}")
    except NotServed:
        return Tracking()
    except KubeError as problem:
        return Tracking(unread=str(problem))
    return Tracking(found[0] if found else None)


def scales(autoscaler: Object, workload: Object) -> bool:
    """Whether the autoscaler sets the workload's replicas."""
    reference = at(autoscaler, "spec", "scaleTargetRef", default={})
    return (reference.get("kind"), reference.get("name")) == (workload["kind"], objects.name(workload))


def target_of(body: Object) -> Target:
    """The object as a plan names it."""
    return Target(body["apiVersion"], body["kind"], objects.name(body), objects.namespace(body) or "", objects.uid(body))


def resource_of(target: Target) -> Resource:
    """The kind of a plan's target."""
    return resources.of({"apiVersion": target.api_version, "kind": target.kind})


def _instead(desk: Desk, params: OfWorkload) -> str:
    """What else has that name, or one like it."""
    said = ""
    for kind, resource in KINDS.items():
        names = [objects.name(body) for body in desk.kube.list(resource, params.namespace, metadata_only=True)]
        if kind != params.kind and params.name in names:
            said += f" There is a {kind} of that name: launch again with `kind: {kind}`."
        elif near := difflib.get_close_matches(params.name, names, 3):
            said += f" {kind}s with a name like it: {', '.join(near)}."
    try:
        clusters = [objects.name(body) for body in desk.kube.list(POSTGRES_CLUSTER, params.namespace, metadata_only=True)]
    except KubeError:
        return said
    if owner := next((name for name in clusters if params.name == name or params.name.removeprefix(f"{name}-").isdigit()), None):
        said += (
            f" {owner} is a CloudNativePG Cluster, whose operator restarts, scales and sizes its pods itself. To restart it one instance "
            f"after another: kubectl annotate clusters.postgresql.cnpg.io {owner} -n {params.namespace} --overwrite "
            f'kubectl.kubernetes.io/restartedAt="$(date -u +%FT%TZ)". Its instances and resources stand in the Cluster, in Git.'
        )
    return said


def _one_of(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, 3)
    return f"{' or '.join(near)} (known: {', '.join(known)})" if near else f"one of {', '.join(known)}"
