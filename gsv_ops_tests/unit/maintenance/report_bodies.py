"""Bodies as controllers leave them, for the tests of reports."""

from datetime import UTC, datetime
from typing import Any

from gsv_ops.kube.protocol import Object

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


def stamp(hour: int, minute: int = 0) -> str:
    return f"2026-11-27T{hour:02}:{minute:02}:00Z"


def body(api_version: str, kind: str, name: str, namespace: str | None = "cmp", *, made: str = stamp(1), **parts: Any) -> Object:
    metadata = {"name": name, "uid": f"uid-{name}", "creationTimestamp": made} | ({"namespace": namespace} if namespace else {})
    metadata |= parts.pop("metadata", {})
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **parts}


def node(name: str = "n1", *, ready: str = "True", pressure: str = "False", **metadata: Any) -> Object:
    conditions = [{"type": "Ready", "status": ready}, {"type": "DiskPressure", "status": pressure, "reason": "KubeletHasDiskPressure"}]
    allocatable = {"cpu": "2", "memory": "4Gi", "pods": "110"}
    return body("v1", "Node", name, None, metadata=metadata, spec={}, status={"conditions": conditions, "allocatable": allocatable})


def pod(name: str, *, status: Object | None = None, ready: bool = True, since: str = stamp(2), cpu: str = "500m", **parts: Any) -> Object:
    container = {"name": "app", "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}}}
    conditions = [{"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": since}]
    return body(
        "v1",
        "Pod",
        name,
        spec={"containers": [container], "nodeName": "n1", **parts.pop("spec", {})},
        status={"phase": "Running", "conditions": conditions, **(status or {})},
        **parts,
    )


def crashing(name: str = "loop", restarts: int = 7) -> Object:
    status = {
        "name": "app",
        "ready": False,
        "restartCount": restarts,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s restarting failed container"}},
        "lastState": {"terminated": {"reason": "Error", "exitCode": 3, "finishedAt": stamp(11, 58)}},
    }
    return pod(name, ready=False, status={"containerStatuses": [status]})
