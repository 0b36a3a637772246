"""A toy cleanup: it deletes whatever of a namespace is labelled tidy=yes, and keeps undo."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, JOB, POD, REPLICA_SET, SECRET
from gsv_ops.operations.deletion import delete_all
from gsv_ops.operations.jobs import operation_job
from gsv_ops.operations.operation import Desk, Operation, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Plan, Target
from gsv_ops.platform.spec import PlatformSpec

KINDS = (CONFIG_MAP, SECRET, POD, REPLICA_SET, JOB)


class Tidy(Params):
    """Which namespace."""

    namespace: str = ""


def observe(desk: Desk, params: Tidy) -> list[Object]:
    return [body for kind in KINDS for body in desk.kube.list(kind, params.namespace, labels="tidy=yes") if not objects.deleting(body)]


def plan(spec: PlatformSpec, found: list[Object], params: Tidy, frame: PlanFrame, now: datetime) -> Plan:
    targets = [Target(b["apiVersion"], b["kind"], objects.name(b), params.namespace, objects.uid(b)) for b in found]
    return frame.plan(actions=tuple(Action("delete", target, "tidied", {"metadata.labels.tidy": "yes"}) for target in targets))


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    return Verdict("good", "tidied")


TIDY = Operation("tidy", "", Tidy, observe, plan, delete_all, verify, "yes.", keeps_undo=True)


TIDY_JOB = operation_job(TIDY)


def marked(body: Object, **metadata: Any) -> Object:
    return {**body, "metadata": {**body["metadata"], "labels": {"tidy": "yes"}, **metadata}}


def found(kube: Kube, namespace: str) -> dict[str, Object]:
    return {objects.name(b): b for kind in KINDS for b in kube.list(kind, namespace, labels="tidy=yes") if not objects.deleting(b)}
