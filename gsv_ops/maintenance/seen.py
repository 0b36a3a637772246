"""What of the cluster could be read, and what could not: absent is not unknown, and neither is zero."""

from __future__ import annotations

from dataclasses import dataclass

from gsv_ops.kube.errors import KubeError, NotServed
from gsv_ops.kube.protocol import Kube, Object, Resource


@dataclass(frozen=True)
class Absent:
    """The cluster has no such kind of object: what brings it is not installed. Said, and not wrong."""

    why: str


@dataclass(frozen=True)
class Unknown:
    """It could not be read: we may not, or nobody answered. Never taken for good."""

    why: str


Listed = tuple[Object, ...] | Absent | Unknown


def listed(kube: Kube, resource: Resource, namespace: str | None = None, *, metadata_only: bool = False) -> Listed:
    """Every object of the kind (in all namespaces without one), or why there is nothing to show."""
    try:
        return tuple(kube.list(resource, namespace, metadata_only=metadata_only))
    except NotServed:
        return Absent(f"{resource.group} is not installed")
    except KubeError as problem:
        return Unknown(str(problem))


def those(seen: Listed) -> tuple[Object, ...]:
    """The objects, or none where none could be read: for what is counted beside a word that says so."""
    return seen if isinstance(seen, tuple) else ()
