"""Whether what runs pods is well, by the rules of `kubectl rollout status`."""

from __future__ import annotations

from gsv_ops.kube import objects
from gsv_ops.kube.health.verdict import Health
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

# Waiting reasons that do not pass by themselves.
STUCK = frozenset(
    {
        "CrashLoopBackOff",
        "CreateContainerConfigError",
        "CreateContainerError",
        "ErrImageNeverPull",
        "ErrImagePull",
        "ImageInspectError",
        "ImagePullBackOff",
        "InvalidImageName",
        "RunContainerError",
    }
)


def deployment(body: Object) -> Health:
    """As `kubectl rollout status`: every replica updated and available, no old one left."""
    if at(body, "spec", "paused"):
        return Health("Suspended", "its rollout is paused")
    progressing = objects.condition(body, "Progressing")
    if progressing and progressing.reason == "ProgressDeadlineExceeded":
        return Health("Degraded", f"its rollout is stuck: {progressing}")
    failure = objects.condition(body, "ReplicaFailure")
    if failure and failure.true:
        return Health("Degraded", f"its pods cannot be made: {failure}")
    wanted = at(body, "spec", "replicas", default=1)
    if (updated := _count(body, "updatedReplicas")) < wanted:
        return Health("Progressing", f"{updated} of {wanted} replicas are updated")
    if (old := _count(body, "replicas") - updated) > 0:
        return Health("Progressing", f"{old} old replicas are still to go")
    return _all_available(body, wanted) or _observed(body, wanted)


def stateful_set(body: Object) -> Health:
    """Every replica ready, and updated as far as the update strategy asks."""
    wanted = at(body, "spec", "replicas", default=1)
    if (ready := _count(body, "readyReplicas")) < wanted:
        return Health("Progressing", f"{ready} of {wanted} replicas are ready")
    if (late := _all_available(body, wanted)) is not None:
        return late
    if at(body, "spec", "updateStrategy", "type", default="RollingUpdate") == "RollingUpdate":
        to_update = max(0, wanted - at(body, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))
        current, update = at(body, "status", "currentRevision"), at(body, "status", "updateRevision")
        if current != update and (updated := _count(body, "updatedReplicas")) < to_update:
            return Health("Progressing", f"{updated} of {to_update} replicas are updated")
    return _observed(body, wanted)


def daemon_set(body: Object) -> Health:
    """A pod available on every node that should have one, updated unless that is left to deletion."""
    if at(body, "status", "desiredNumberScheduled") is None:
        return Health("Progressing", "its controller has not reported yet")
    wanted = _count(body, "desiredNumberScheduled")
    updated = _count(body, "updatedNumberScheduled")
    if at(body, "spec", "updateStrategy", "type", default="RollingUpdate") == "RollingUpdate" and updated < wanted:
        return Health("Progressing", f"{updated} of {wanted} nodes run the updated pod")
    if (available := _count(body, "numberAvailable")) < wanted:
        return Health("Progressing", f"{available} of {wanted} nodes have an available pod")
    return _observed(body, wanted, "nodes have an available pod")


def replica_set(body: Object) -> Health:
    failure = objects.condition(body, "ReplicaFailure")
    if failure and failure.true:
        return Health("Degraded", f"its pods cannot be made: {failure}")
    wanted = at(body, "spec", "replicas", default=1)
    return _all_available(body, wanted) or _observed(body, wanted)


def pod(body: Object) -> Health:
    """Ready, or done; stuck containers are told from those that only need time."""
    statuses = [*at(body, "status", "initContainerStatuses", default=[]), *at(body, "status", "containerStatuses", default=[])]
    for container in statuses:
        reason = at(container, "state", "waiting", "reason")
        if reason in STUCK:
            message = at(container, "state", "waiting", "message", default="")
            return Health("Degraded", f"container {container.get('name')}: {reason}" + (f" ({message})" if message else ""))
    match at(body, "status", "phase"):
        case "Succeeded":
            return Health("Healthy", "it has run to its end")
        case "Failed":
            why = at(body, "status", "message") or at(body, "status", "reason") or "a container ended with an error"
            return Health("Degraded", f"it failed: {why}")
        case "Running":
            ready = objects.condition(body, "Ready")
            if ready and ready.true:
                return Health("Healthy", "it is ready")
            return Health("Progressing", f"it is not ready: {ready}" if ready else "it has not reported whether it is ready")
        case "Pending":
            scheduled = objects.condition(body, "PodScheduled")
            waits = scheduled is not None and not scheduled.true
            return Health("Progressing", f"it is pending: {scheduled}" if waits else "its containers are starting")
        case phase:
            return Health("Unknown", f"its phase is {phase}: its node may be lost" if phase else "its phase is not reported yet")


def job(body: Object) -> Health:
    for type_ in ("Failed", "FailureTarget"):
        failed = objects.condition(body, type_)
        if failed and failed.true:
            return Health("Degraded", f"it failed: {failed}")
    complete = objects.condition(body, "Complete")
    if complete and complete.true:
        return Health("Healthy", "it is complete")
    if at(body, "spec", "suspend"):
        return Health("Suspended", "it is suspended")
    return Health(
        "Progressing", f"{_count(body, 'active')} active, {_count(body, 'succeeded')} succeeded, {_count(body, 'failed')} failed pods"
    )


def _count(body: Object, field: str) -> int:
    """A number that the API leaves out when it is zero."""
    return int(at(body, "status", field, default=0))


def _all_available(body: Object, wanted: int) -> Health | None:
    available = _count(body, "availableReplicas")
    return Health("Progressing", f"{available} of {wanted} replicas are available") if available < wanted else None


def _observed(body: Object, wanted: int, what: str = "replicas are available") -> Health:
    if wanted == 0 and body.get("kind") != "DaemonSet":
        return Health("Suspended", "it is scaled to zero")
    return Health("Healthy", f"{wanted} of {wanted} {what}" if wanted else "no node should have its pod")
