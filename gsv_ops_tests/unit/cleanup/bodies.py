"""Objects as a cluster at rest holds them, and what makes each of them fit to go."""

from datetime import UTC, datetime, timedelta
from typing import Any

from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import PlanFrame

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
OLD = NOW - timedelta(days=40)


def frame(operation: str) -> PlanFrame:
    return PlanFrame(operation, "dev", "c-1", {})


def stamp(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def reference(kind: str, name: str, uid: str, api_version: str = "apps/v1") -> Object:
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": uid, "controller": True}


def metadata(name: str, *, owner: Object | None = None, created: datetime = OLD, **more: Any) -> Object:
    owners = {"ownerReferences": [owner]} if owner else {}
    return {"name": name, "namespace": "cmp", "uid": f"uid-{name}", "creationTimestamp": stamp(created), "generation": 1, **owners, **more}


def template(image: str, **labels: str) -> Object:
    return {"metadata": {"labels": {"app": "web", **labels}}, "spec": {"containers": [{"name": "c", "image": image}]}}


def deployment(name: str = "web", *, at: int, replicas: int = 2, history: int = 2, **spec: Any) -> Object:
    """A complete one, which runs that revision."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": metadata(name, annotations={"deployment.kubernetes.io/revision": str(at)}),
        "spec": {"replicas": replicas, "revisionHistoryLimit": history, "template": template(f"v{at}"), **spec},
        "status": {
            "observedGeneration": 1,
            **(dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas) if replicas else {}),
        },
    }


def replica_set(revision: int, of: str = "web", *, pods: int = 0, created: datetime = OLD, **more: Any) -> Object:
    """One revision of a Deployment."""
    name = f"{of}-{revision}"
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": metadata(
            name,
            owner=reference("Deployment", of, f"uid-{of}"),
            created=created,
            labels={"app": "web", "pod-template-hash": f"h{revision}"},
            annotations={"deployment.kubernetes.io/revision": str(revision)},
            **more,
        ),
        "spec": {"replicas": pods, "template": template(f"v{revision}", **{"pod-template-hash": f"h{revision}"})},
        "status": {"replicas": pods, "observedGeneration": 1, **({"readyReplicas": pods} if pods else {})},
    }


def put(body: Any, path: str, value: Any) -> Any:
    """A copy with another value at `path` (`spec/replicas`, `status/conditions/0/type`); `...`: without it. `~` is a key's `/`."""
    return _put(body, [step.replace("~", "/") for step in path.split("/")], value)


def _put(body: Any, steps: list[str], value: Any) -> Any:
    first, rest = steps[0], steps[1:]
    if isinstance(body, list):
        return [_put(item, rest, value) if number == int(first) else item for number, item in enumerate(body)]
    inner = _put(body.get(first, {}), rest, value) if rest else value
    return {key: item for key, item in body.items() if key != first} | ({} if inner is ... else {first: inner})
