"""What the fake server knows of single kinds: what a bare API server serves, checks, fills in, and selects by."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from gsv_ops.kube import objects, resources
from gsv_ops.kube.protocol import Object, Resource
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
    NAMESPACE,
    NETWORK_POLICY,
    NODE,
    PERSISTENT_VOLUME,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    REPLICA_SET,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    STATEFUL_SET,
)
from gsv_ops_tests.fake_kube import refusals

BUILT_IN = frozenset(r for r in resources.ALL if "." not in r.group or r.group.endswith(".k8s.io"))
# The built-in kinds that have a status, and what it begins with; custom resources are taken to have one, which begins as nothing.
FIRST_STATUS: dict[Resource, Object] = {
    NAMESPACE: {"phase": "Active"},
    NODE: {},
    POD: {"phase": "Pending"},
    SERVICE: {"loadBalancer": {}},
    PERSISTENT_VOLUME_CLAIM: {"phase": "Pending"},
    PERSISTENT_VOLUME: {"phase": "Pending"},
    INGRESS: {"loadBalancer": {}},
    RESOURCE_QUOTA: {},
    DEPLOYMENT: {},
    REPLICA_SET: {"replicas": 0},
    STATEFUL_SET: {"replicas": 0, "availableReplicas": 0},
    DAEMON_SET: {"currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0},
    AUTOSCALER: {"currentMetrics": None, "desiredReplicas": 0},
    DISRUPTION_BUDGET: {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    CRON_JOB: {},
    JOB: {},
}
WITH_GENERATION = frozenset(
    {POD, DEPLOYMENT, REPLICA_SET, STATEFUL_SET, DAEMON_SET, DISRUPTION_BUDGET, CRON_JOB, JOB, INGRESS, NETWORK_POLICY, ENDPOINT_SLICE}
)
CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
# Kinds whose whole shape is known: field -> "strings", a map of them, or "" for anything.
SHAPES: dict[Resource, dict[str, str]] = {
    CONFIG_MAP: {"data": "strings", "binaryData": "strings", "immutable": ""},
    SECRET: {"data": "strings", "stringData": "strings", "type": "", "immutable": ""},
}
JSON_NAMES = {dict: "object", list: "array", int: "number", float: "number", bool: "bool"}
HEAD = ("apiVersion", "kind", "metadata")
FIELDS: dict[Resource, tuple[str, ...]] = {
    EVENT: (*(f"involvedObject.{f}" for f in ("kind", "namespace", "name", "uid", "apiVersion")), "reason", "type", "source"),
    POD: ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP"),
    SECRET: ("type",),
    NAMESPACE: ("status.phase",),
    JOB: ("status.successful",),
}
NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
KEY = re.compile(r"[-._a-zA-Z0-9]+")


def has_status(resource: Resource) -> bool:
    return resource in FIRST_STATUS or resource not in BUILT_IN


def has_generation(resource: Resource) -> bool:
    return resource in WITH_GENERATION or resource not in BUILT_IN


def fields(resource: Resource) -> tuple[str, ...]:
    """What a list may be selected by."""
    return ("metadata.name", *(("metadata.namespace",) if resource.namespaced else ()), *FIELDS.get(resource, ()))


def decoded(resource: Resource, body: Object) -> Object:
    """The body as the server's own types hold it: without nulls, empty metadata and fields it does not know. Raises Refusal."""
    problem = _shape_problem(resource, body)
    if problem:
        path, _, there = problem
        raise refusals.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: json: '
            f"cannot unmarshal {there} into Go struct field {resource.kind}.{path.split('.')[1]} of type string"
        )
    found: Object = _without_nulls(body)
    known = SHAPES.get(resource)
    if known is not None:
        found = {key: value for key, value in found.items() if key in HEAD or (key in known and value not in ({}, []))}
    found["metadata"] = {key: value for key, value in found["metadata"].items() if value not in ({}, [])}
    template = objects.at(found, "spec", "template")
    if isinstance(template, dict) and isinstance(template.get("metadata"), dict):
        kept = {key: value for key, value in template["metadata"].items() if value not in ({}, [])}
        found["spec"] = {**found["spec"], "template": {**template, "metadata": kept}}
    return found


def check_applied(resource: Resource, body: Object) -> None:
    """Server-side apply takes no field it does not know. Raises Refusal, as the internal error of the server that it is told as."""
    shape = SHAPES.get(resource)
    unknown = [key for key in body if shape is not None and key not in HEAD and key not in shape]
    problem = _shape_problem(resource, body)
    if unknown or problem:
        why = f".{unknown[0]}: field not declared in schema" if unknown else f"{problem[0]}: {problem[1]}" if problem else ""
        where = f"{objects.namespace(body)}/{objects.name(body)}; {resource.api_version}, Kind={resource.kind}"
        raise refusals.Refusal(500, "", f"failed to create typed patch object ({where}): {why}")


def check_patched(resource: Resource, body: Object) -> None:
    """A patch that leaves the wrong shape behind is refused with the whole object before what is wrong with it. Raises Refusal."""
    if problem := _shape_problem(resource, body):
        raise refusals.invalid(body, "patch", "FieldValueInvalid", f'Invalid value: "{body}": unrecognized type: {problem[2]}')


def filled_in(resource: Resource, body: Object) -> Object:
    """A new body, or one that replaces another, with what the server writes itself."""
    if resource == SECRET:
        plain = {key: base64.b64encode(value.encode()).decode() for key, value in body.pop("stringData", {}).items()}
        if plain:
            body["data"] = body.get("data", {}) | plain
        body.setdefault("type", "Opaque")
    if resource == NAMESPACE:
        labels = body["metadata"].get("labels", {})
        body["metadata"]["labels"] = labels | {"kubernetes.io/metadata.name": objects.name(body)}
    return body


def born(resource: Resource, body: Object) -> Object:
    """A new body with the status and the finalizers it begins with."""
    if has_status(resource):
        body.pop("status", None)
        if resource in FIRST_STATUS:
            body["status"] = dict(FIRST_STATUS[resource])
    if resource == NAMESPACE:
        body["spec"] = {"finalizers": ["kubernetes"]}
    if resource == PERSISTENT_VOLUME_CLAIM:
        finalizers = body["metadata"].get("finalizers", [])
        body["metadata"]["finalizers"] = [*finalizers, *([] if CLAIM_FINALIZER in finalizers else [CLAIM_FINALIZER])]
    return body


def check(resource: Resource, body: Object) -> None:
    """Raises Refusal for a value that the server does not take."""
    name = objects.name(body)
    if not NAME.fullmatch(name) or len(name) > 253:
        why = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'"
        raise refusals.invalid(body, "metadata.name", "FieldValueInvalid", f'Invalid value: "{name}": {why}')
    if resource not in SHAPES:
        return
    for key in body.get("data", {}):
        if not KEY.fullmatch(key):
            why = f"Invalid value: \"{key}\": a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
            raise refusals.invalid(body, f"data[{key}]", "FieldValueInvalid", why)
    if resource == SECRET:
        for value in body.get("data", {}).values():
            try:
                base64.b64decode(value, validate=True)
            except (binascii.Error, ValueError):
                raise refusals.bad_request("illegal base64 data") from None


def _shape_problem(resource: Resource, body: Object) -> tuple[str, str, str] | None:
    """(path, what was expected, what is there) of the first field that has the wrong shape."""
    for field, shape in SHAPES.get(resource, {}).items():
        value = body.get(field)
        if shape != "strings" or value is None:
            continue
        if not isinstance(value, dict):
            return f".{field}", "expected map", JSON_NAMES.get(type(value), "string")
        for key, entry in value.items():
            if not isinstance(entry, str | None):
                return f".{field}.{key}", "expected string", JSON_NAMES.get(type(entry), "string")
    return None


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(entry) for key, entry in value.items() if entry is not None}
    return [_without_nulls(entry) for entry in value] if isinstance(value, list) else value
