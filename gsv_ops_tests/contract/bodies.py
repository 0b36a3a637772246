"""Objects that the contract tests write, and what they wait for."""

from collections.abc import Callable

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object


def config_map(namespace: str, name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": data}


def secret(namespace: str, name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}, "stringData": data}


def value(wanted: str) -> Callable[[Object | None], Object | None]:
    """An `until`: a ConfigMap whose x has that value."""
    return lambda body: body if body is not None and objects.at(body, "data", "x") == wanted else None
