"""What any object tells that keeps the conventions of status.conditions (kstatus)."""

from __future__ import annotations

from gsv_ops.kube import objects
from gsv_ops.kube.health.verdict import Health
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

# These report it always: without it their controller has not looked yet.
ALWAYS_OBSERVED = ("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet")


def stale(body: Object) -> Health | None:
    """Progressing where the status is about an older generation than the one asked for."""
    observed = at(body, "status", "observedGeneration")
    expected = body.get("kind") in ALWAYS_OBSERVED
    if observed is None and not expected:
        return None
    if observed is None or int(observed) < _generation(body):
        return Health("Progressing", f"its controller has seen generation {observed or 'none'} of {_generation(body)}")
    return None


def by_conditions(body: Object) -> Health:
    """What kstatus reads off any object that keeps its conventions; without a Ready condition nothing is known."""
    stalled, reconciling = objects.condition(body, "Stalled"), objects.condition(body, "Reconciling")
    if stalled and stalled.true:
        return Health("Degraded", f"it is stuck: {stalled}")
    if reconciling and reconciling.true:
        return Health("Progressing", f"it is being worked on: {reconciling}")
    ready = objects.condition(body, "Ready")
    if ready is None or ready.status == "Unknown":
        return Health("Unknown", f"it does not know: {ready}" if ready else "it reports no Ready condition")
    if ready.observed_generation is not None and ready.observed_generation < _generation(body):
        return Health("Progressing", "its Ready condition is about an older generation")
    return Health("Healthy", f"it is ready: {ready}") if ready.true else Health("Progressing", f"it is not ready: {ready}")


def _generation(body: Object) -> int:
    return int(at(body, "metadata", "generation", default=0))
