"""A node's container runtime, asked by a short Job on the node: which images it has, what is pinned, and to remove some.

A node's status tells its largest images only, and not what is pinned. The Job is made by a ServiceAccount of its own (`kube/acting.py`), in
one namespace. Its pod has no right and no token; it reaches the runtime's socket and nothing else of the node. It is deleted at the end,
ends by itself after a time, and is deleted by the cluster, or by the next run, if the desk died meanwhile.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

from gsv_ops.cleanup.images.observe import Image
from gsv_ops.kube import errors, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import JOB, POD
from gsv_ops.operations.apply import EXPIRES_ANNOTATION, OPERATION_LABEL, ROOT_RUN_LABEL
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.platform.spec import NodeRuntime

OF_NODE = "gsv-ops/asks-runtime-of"
"""The label of every such Job: its node, of a long name the end."""
SOCKET = "/run/runtime.sock"
GRACE_SECONDS = 30
"""The Job outlives our wait for it by so much, so that its pod is still there to say why it did not start."""
TTL_SECONDS = 120
LONGEST_LABEL = 63
LOG_LINES = 10
NEVER_STARTS = ("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError")


class NotAsked(OperationFailed):
    """The node's runtime could not be asked, or answered otherwise than expected."""


def images_or_why_not(desk: Desk, operation: str, node: Object) -> tuple[Image, ...] | str:
    """All images of the node, or why they are not known and how to mend that. A node that is not ready would not answer."""
    ready = objects.condition(node, "Ready")
    if ready is None or not ready.true:
        return f"it is not ready ({ready or 'it says nothing of it'})"
    try:
        return images(desk, operation, objects.name(node))
    except errors.KubeError as problem:
        return str(problem)
    except NotAsked as problem:
        return f"{problem}; {problem.next_command}" if problem.next_command else str(problem)


def images(desk: Desk, operation: str, node: str) -> tuple[Image, ...]:
    """All images of the node, the largest first. Raises NotAsked, KubeError."""
    text = _asked(desk, operation, node, desk.spec.cleanup.images.runtime.list)
    return parsed(node, text)


def remove(desk: Desk, operation: str, node: str, ids: Sequence[str]) -> str:
    """Remove these; what the client said. Raises NotAsked, KubeError: then it is not known which of them are gone."""
    return _asked(desk, operation, node, (*desk.spec.cleanup.images.runtime.remove, *ids))


def parsed(node: str, text: str) -> tuple[Image, ...]:
    """What `crictl images -o json` told, whatever it warned of before. Raises NotAsked. Pure."""
    lines = text.splitlines(keepends=True)
    start = next((number for number, line in enumerate(lines) if line.startswith("{")), len(lines))
    try:
        body, _ = json.JSONDecoder().raw_decode("".join(lines[start:]))
        found = [
            Image(
                (*map(str, one.get("repoTags") or ()), *map(str, one.get("repoDigests") or ())),
                int(one.get("size") or 0),
                str(one["id"]),
                one.get("pinned") is True,
            )
            for one in body["images"]
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise NotAsked(
            f"the runtime of node {node} did not answer as `crictl images -o json` does ({type(problem).__name__}): {text[:200]!r}",
            "correct cleanup.images.runtime.list in platform.yaml",
        ) from None
    return tuple(sorted(found, key=lambda image: (-image.bytes, image.id)))


def job(desk: Desk, operation: str, node: str, command: Sequence[str]) -> Object:
    """The Job's manifest."""
    settings = desk.spec.cleanup.images.runtime
    seconds = settings.seconds + GRACE_SECONDS
    labels = {ROOT_RUN_LABEL: desk.run_id, OPERATION_LABEL: operation, OF_NODE: node[-LONGEST_LABEL:].lstrip("-._")}
    return {
        "apiVersion": JOB.api_version,
        "kind": JOB.kind,
        "metadata": {
            "name": f"gsv-ops-images-{desk.run_id.replace('-', '')[:8]}-{secrets.token_hex(3)}",
            "namespace": desk.spec.desk.lease_namespace,
            "labels": labels,
            "annotations": {EXPIRES_ANNOTATION: (desk.now() + timedelta(seconds=seconds + TTL_SECONDS)).isoformat()},
        },
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": seconds,
            "ttlSecondsAfterFinished": TTL_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": _pod(settings, node, command)},
        },
    }


def _pod(settings: NodeRuntime, node: str, command: Sequence[str]) -> dict[str, Any]:
    container = {
        "name": "client",
        "image": settings.image,
        "imagePullPolicy": "IfNotPresent",
        "command": list(command),
        "env": [
            {"name": "CONTAINER_RUNTIME_ENDPOINT", "value": f"unix://{SOCKET}"},
            {"name": "IMAGE_SERVICE_ENDPOINT", "value": f"unix://{SOCKET}"},
        ],
        # the socket is root's
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"limits": {"memory": "128Mi"}, "requests": {"cpu": "10m", "memory": "32Mi"}},
        "volumeMounts": [{"name": "runtime", "mountPath": SOCKET}],
    }
    return {
        # past the scheduler: a node that takes no new pods is asked too
        "nodeName": node,
        "tolerations": [{"operator": "Exists"}],
        "restartPolicy": "Never",
        "serviceAccountName": settings.pod_service_account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 1,
        "containers": [container],
        "volumes": [{"name": "runtime", "hostPath": {"path": settings.socket, "type": "Socket"}}],
    }


def _asked(desk: Desk, operation: str, node: str, command: Sequence[str]) -> str:
    """What the command printed on the node."""
    settings, namespace = desk.spec.cleanup.images.runtime, desk.spec.desk.lease_namespace
    try:
        # for each Job anew, since a token lives for some minutes only
        with desk.kube.acting_as(namespace, settings.service_account) as kube:
            _sweep(desk, kube)
            made = kube.create(job(desk, operation, node, command))
            try:
                return _answer(desk, node, made)
            except errors.NotFound as problem:
                raise NotAsked(f"what asked the runtime of node {node} was deleted meanwhile: {problem}") from None
            finally:
                _take_down(desk, kube, made)
    except (errors.Forbidden, errors.NotFound) as problem:
        raise NotAsked(
            f"the runtime of node {node} cannot be asked as ServiceAccount {settings.service_account} of namespace {namespace}: {problem}",
            "make the ServiceAccounts, the Role (jobs: create, get, list, delete) and the Role that lets the desk ask its token; "
            "docs/guide.md, 10.5",
        ) from None


def _answer(desk: Desk, node: str, made: Object) -> str:
    seconds = desk.spec.cleanup.images.runtime.seconds
    end = desk.monotonic() + seconds
    name, namespace = objects.name(made), objects.namespace(made)
    desk.kube.wait(JOB, name, namespace, _begun, timeout=seconds, what=f"Job {name} to have its pod on node {node}")
    pods = desk.kube.list(POD, namespace, labels=f"batch.kubernetes.io/job-name={name}")
    if not pods:
        raise NotAsked(f"Job {namespace}/{name} on node {node} ended without a pod: {_said(desk.kube.get(JOB, name, namespace))}")
    pod = objects.name(pods[0])
    what = f"pod {pod} on node {node} to answer"
    ended = desk.kube.wait(POD, pod, namespace, _ended, timeout=max(1.0, end - desk.monotonic()), what=what)
    if at(ended, "status", "phase") == "Succeeded":
        return desk.kube.logs(str(namespace), pod, "client")
    said = _said(ended)
    with suppress(errors.KubeError):
        said = f"{said} {desk.kube.logs(str(namespace), pod, 'client', tail=LOG_LINES)}".strip()
    raise NotAsked(f"the runtime of node {node} was asked in vain: {said or 'its pod failed, and says no reason'}")


def _begun(body: Object | None) -> bool | None:
    if body is None:
        raise NotAsked("the Job that asks the runtime was deleted by somebody else")
    ended = any(condition.type in ("Complete", "Failed") and condition.true for condition in objects.conditions(body))
    return True if ended or at(body, "status", "active", default=0) else None


def _ended(body: Object | None) -> Object | None:
    if body is None:
        raise NotAsked("the pod that asks the runtime was deleted by somebody else")
    for status in at(body, "status", "containerStatuses", default=[]):
        waiting = at(status, "state", "waiting", default={})
        if waiting.get("reason") in NEVER_STARTS:
            raise NotAsked(
                f"pod {objects.name(body)} cannot start: {waiting['reason']}: {waiting.get('message', '')}",
                "correct cleanup.images.runtime.image in platform.yaml",
            )
    return body if at(body, "status", "phase") in ("Succeeded", "Failed") else None


def _said(body: Object) -> str:
    """Why it failed, in its own words."""
    told = [at(body, "status", "reason"), at(body, "status", "message")]
    told += [f"{one.reason}: {one.message}" for one in objects.conditions(body) if one.type == "Failed"]
    ends = [at(status, "state", "terminated", default={}) for status in at(body, "status", "containerStatuses", default=[])]
    told += [f"exit code {end['exitCode']} ({end.get('reason', '')})" for end in ends if end.get("exitCode")]
    return "; ".join(str(one) for one in told if one)


def _sweep(desk: Desk, kube: Kube) -> None:
    """Delete what runs that were killed left, where the cluster has not done so by itself."""
    for left in kube.list(JOB, desk.spec.desk.lease_namespace, labels=OF_NODE, metadata_only=True):
        expires = objects.annotations(left).get(EXPIRES_ANNOTATION)
        if expires and objects.parse_time(expires) < desk.now() and not objects.deleting(left):
            _take_down(desk, kube, left)


def _take_down(desk: Desk, kube: Kube, made: Object) -> None:
    try:
        kube.delete(JOB, objects.name(made), objects.namespace(made), uid=objects.uid(made), propagation="Background")
    except (errors.NotFound, errors.Conflict):
        pass  # it is gone, or its name belongs to another by now
    except errors.KubeError as problem:
        # what it answered counts all the same
        desk.log(f"Job {objects.name(made)} could not be deleted ({problem}); the cluster does so {TTL_SECONDS} s after its end")
