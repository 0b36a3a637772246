"""How the fake server refuses: a status and a Status object, in the API server's own words where `kube/responses.py` reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from gsv_ops.kube.protocol import Object, Resource


class Refusal(Exception):
    """An error response: `body` is the Status object as it would come over the wire."""

    def __init__(self, status: int, reason: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.status = status
        said = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status, "reason": reason, "message": message}
        self.body = json.dumps(said | {"details": details or {}}).encode()


def not_served() -> Refusal:
    return Refusal(404, "NotFound", "the server could not find the requested resource")


def not_found(resource: Resource, name: str) -> Refusal:
    details = {"name": name, "group": resource.group, "kind": resource.plural}
    return Refusal(404, "NotFound", f'{resource.qualified} "{name}" not found', details)


def already_exists(resource: Resource, name: str) -> Refusal:
    return Refusal(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists')


def moved_on(resource: Resource, name: str, why: str) -> Refusal:
    return Refusal(409, "Conflict", f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}')


def managed(conflicts: Sequence[tuple[str, str]]) -> Refusal:
    """`conflicts`: (the other manager, the field's path)."""
    causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{manager}"', "field": field} for manager, field in conflicts]
    return Refusal(409, "Conflict", f"Apply failed with {len(causes)} conflicts", {"causes": causes})


def forbidden(resource: Resource, name: str, why: str) -> Refusal:
    return Refusal(403, "Forbidden", f'{resource.qualified} "{name}" is forbidden: {why}')


def denied(user: str, verb: str, resource: Resource, subresource: str, namespace: str | None, name: str) -> Refusal:
    """A denial by RBAC."""
    plural = f"{resource.plural}/{subresource}" if subresource else resource.plural
    scope = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    return forbidden(resource, name, f'User "{user}" cannot {verb} resource "{plural}" in API group "{resource.group}" {scope}')


def bad_request(message: str) -> Refusal:
    return Refusal(400, "BadRequest", message)


def invalid(body: Object, field: str, reason: str, message: str) -> Refusal:
    name = body.get("metadata", {}).get("name", "")
    causes = [{"reason": reason, "message": message, "field": field}]
    return Refusal(422, "Invalid", f'{body.get("kind")} "{name}" is invalid: {field}: {message}', {"causes": causes})


def patch_failed() -> Refusal:
    return Refusal(422, "Invalid", "the server rejected our request due to an error in our request")


def no_strategy() -> Refusal:
    message = "the body of the request was in an unknown format - accepted media types include: application/json-patch+json"
    return Refusal(415, "UnsupportedMediaType", message)
