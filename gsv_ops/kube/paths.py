"""Where an object's requests go: its path in the API, and what a body says of its place."""

from __future__ import annotations

import secrets
from typing import Any

from gsv_ops.kube import objects, resources
from gsv_ops.kube.protocol import Object, Resource

# As the API server's own generator, without letters that could form a word.
GENERATED = "bcdfghjklmnpqrstvwxz2456789"
GENERATED_LENGTH = 5


def path(resource: Resource, namespace: str | None, name: str = "", subresource: str = "", *, all_namespaces: bool = False) -> str:
    """The API's path of an object, or of all of its kind. Raises ValueError for a namespace where none belongs, or the lack of one."""
    if namespace and not resource.namespaced:
        raise ValueError(f"{resource.qualified} belong to the cluster: expected no namespace, not {namespace!r}")
    if resource.namespaced and not namespace and not (all_namespaces and not name):
        raise ValueError(f"{resource.qualified} live in namespaces: expected one")
    base = f"/apis/{resource.group}/{resource.version}" if resource.group else f"/api/{resource.version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (base + place, resource.plural, name, subresource) if part)


def place(body: Object) -> tuple[Resource, str | None, str]:
    """(resource, namespace, name) of a body that names itself. Raises ValueError."""
    resource = resources.of(body)
    name = objects.name(body)
    if not name:
        raise ValueError(f"{resource.kind} without metadata.name: expected a name")
    return resource, objects.namespace(body), name


def named(body: Object) -> Object:
    """A generated name is chosen here and not by the server: a create that is retried must not make two."""
    prefix: Any = objects.at(body, "metadata", "generateName", default="")
    if not prefix or objects.name(body):
        return body
    metadata = {key: value for key, value in body["metadata"].items() if key != "generateName"}
    metadata["name"] = prefix + "".join(secrets.choice(GENERATED) for _ in range(GENERATED_LENGTH))
    return body | {"metadata": metadata}
