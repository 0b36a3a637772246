"""Objects that the contract tests write, and what they wait for."""

from collections.abc import Callable

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object


def config_map(namespace: str, name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(namespace: str, name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}


def pod(namespace: str, name: str, **spec: object) -> Object:
    """It asks for a status of its own, which it does not get."""
    container = {"name": "c", "image": "none.invalid/none"}
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [container], **spec},
        "status": {"phase": "Running"},
    }


def value(wanted: str) -> Callable[[Object | None], Object | None]:
    """An `until`: a ConfigMap whose x has that value."""
    return lambda body: body if body is not None and objects.at(body, "data", "x") == wanted else None
