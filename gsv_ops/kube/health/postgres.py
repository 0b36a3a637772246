"""Whether a CloudNativePG Cluster is well."""

from __future__ import annotations

import json

from gsv_ops.kube import objects
from gsv_ops.kube.health.verdict import Health
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

HIBERNATION = "cnpg.io/hibernation"
FENCED_INSTANCES = "cnpg.io/fencedInstances"

# The phases of CloudNativePG 1.30, api/v1/cluster_types.go. One that is in neither list is not known, so not good.
HEALTHY = "Cluster in healthy state"
PROGRESSING = frozenset(
    {
        "Switchover in progress",
        "Failing over",
        "Setting up primary",
        "Creating a new replica",
        "Upgrading cluster",
        "Upgrading Postgres major version",
        "Cluster upgrade delayed",
        "Primary instance is being restarted in-place",
        "Primary instance is being restarted without a switchover",
        "Waiting for the instances to become active",
        "Online upgrade in progress",
        "Applying configuration",
        "Promoting to primary cluster",
    }
)
DEGRADED = frozenset(
    {
        "Waiting for user action",
        "Cluster cannot proceed to reconciliation due to an unknown plugin being required",
        "Cluster cannot proceed to reconciliation due to an error while interacting with plugins",
        "Cluster has incomplete or invalid image catalog",
        "Cluster is unrecoverable and needs manual intervention",
        "Cluster cannot execute instance online upgrade due to missing architecture binary",
        "Unable to create required cluster objects",
        "Invalid cluster definition",
    }
)


def cluster(body: Object) -> Health:
    """Healthy only if the phase, the Ready condition, the count of instances and the primary all say so, and nothing is held back.

    Archiving and backups have conditions of their own: a cluster that serves and does not archive is healthy here.
    """
    if (held := _held_back(body)) is not None:
        return held
    phase = at(body, "status", "phase")
    why = at(body, "status", "phaseReason")
    said = f"{phase}: {why}" if why else str(phase)
    if phase in DEGRADED:
        return Health("Degraded", said)
    if phase in PROGRESSING:
        return Health("Progressing", said)
    if phase != HEALTHY:
        return Health("Unknown", f"its phase is {said}" if phase else "its phase is not reported yet")
    wanted = at(body, "spec", "instances", default=1)
    ready = at(body, "status", "readyInstances", default=0)
    if ready != wanted:
        return Health("Progressing", f"{ready} of {wanted} instances are ready")
    condition = objects.condition(body, "Ready")
    if condition is None or not condition.true:
        return Health("Progressing", f"it is not ready: {condition}" if condition else "it has no Ready condition yet")
    primary, target = at(body, "status", "currentPrimary"), at(body, "status", "targetPrimary")
    if not primary or primary != target:
        return Health("Progressing", f"its primary is {primary or 'not known'} and should be {target or 'named'}")
    return Health("Healthy", f"{ready} of {wanted} instances are ready, {primary} is the primary")


def _held_back(body: Object) -> Health | None:
    """What an operator has stopped on purpose, whatever the phase says."""
    if objects.annotations(body).get(HIBERNATION) == "on":
        return Health("Suspended", "it hibernates")
    text = objects.annotations(body).get(FENCED_INSTANCES)
    if not text:
        return None
    try:
        fenced = json.loads(text)
    except ValueError:
        fenced = None
    if not isinstance(fenced, list):
        return Health("Unknown", f"its {FENCED_INSTANCES} annotation cannot be read: {text!r} is no JSON list")
    if not fenced:
        return None
    return Health("Suspended", f"fenced: {', '.join('every instance' if name == '*' else str(name) for name in fenced)}")
