"""Why pods are not ready, a line for each: the container's state, the last lines of its log, and what the cluster's events say."""

from __future__ import annotations

from collections.abc import Sequence

from gsv_ops.kube import health, objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.quoted import quoted
from gsv_ops.kube.resources import EVENT

MOST_PODS = 5
MOST_EVENTS = 2
LONGEST_LOG = 300
GONE = "unable to retrieve container logs for "


def reasons(kube: Kube, workload: Object, pods: Sequence[Object], log_lines: int) -> list[str]:
    """A line for every pod that is not ready; with no such pod, what the workload's own conditions and events complain about."""
    late = [pod for pod in pods if not objects.deleting(pod) and not health.of(pod).healthy]
    found = [reason(kube, pod, log_lines) for pod in late[:MOST_PODS]]
    if len(late) > MOST_PODS:
        found.append(f"and {len(late) - MOST_PODS} more pods that are not ready")
    if not late:
        complaints = [str(c) for c in objects.conditions(workload) if c.type == "ReplicaFailure" and c.true]
        found = [quoted(text) for text in complaints + warnings(kube, workload)] or ["all of its pods that there are are ready"]
    leaving = [objects.name(pod) for pod in pods if objects.deleting(pod)]
    return found + ([f"still ending: {', '.join(leaving[:MOST_PODS])}"] if leaving else [])


def reason(kube: Kube, pod: Object, log_lines: int) -> str:
    """Why this pod is not ready."""
    parts = [f"pod {objects.name(pod)}: {quoted(health.of(pod).reason)}"]
    containers = [*at(pod, "status", "initContainerStatuses", default=[]), *at(pod, "status", "containerStatuses", default=[])]
    for container in containers:
        state = next(iter(at(container, "state", default={})), "")
        if container.get("ready") or (state == "terminated" and at(container, "state", "terminated", "exitCode") == 0):
            continue
        parts += _ended(container)
        if said := _log(kube, pod, container, log_lines):
            parts.append(f"{container['name']} said last: {said}")
    parts += warnings(kube, pod)
    return "; ".join(parts)


def warnings(kube: Kube, body: Object) -> list[str]:
    """The newest warnings about the object among the cluster's events; none where they cannot be had."""
    try:
        events = kube.list(EVENT, objects.namespace(body), fields=f"involvedObject.uid={objects.uid(body)},type=Warning")
    except KubeError:
        return []
    newest = sorted(events, key=_time)[-MOST_EVENTS:]
    return [f"event {event.get('reason')}: {quoted(str(event.get('message', '')))}" for event in newest]


def _ended(container: Object) -> list[str]:
    for state in ("state", "lastState"):
        ended = at(container, state, "terminated")
        if ended:
            why = ended.get("reason") or "no reason"
            return [f"{container['name']} ended with {ended.get('exitCode')} ({why}), {container.get('restartCount', 0)} restarts"]
    return []


def _log(kube: Kube, pod: Object, container: Object, lines: int) -> str:
    """The last lines: those of the run that is going on or has just ended, or where it waits for its next one, those of its last."""
    namespace, name = objects.namespace(pod) or "", objects.name(pod)
    waits = at(container, "state", "waiting") is not None and container.get("restartCount")
    for previous in (True, False) if waits else (False,):
        try:
            said = kube.logs(namespace, name, str(container["name"]), tail=lines, previous=previous).strip()
        except KubeError:
            continue  # it has none yet, or none any more
        # what the kubelet answers, as if it were the log, for a container that it has removed
        if said and not said.startswith(GONE):
            return quoted(said, LONGEST_LOG)
    return ""


def _time(event: Object) -> str:
    """Times of one format in one zone, so that they sort as text."""
    made = at(event, "metadata", "creationTimestamp", default="")
    return str(at(event, "series", "lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or made)
