"""Accessors for Kubernetes objects as they come from the API: what every room asks of a dictionary, in one place."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gsv_ops.kube.protocol import Object


@dataclass(frozen=True)
class Condition:
    """One entry of status.conditions. `status` is "True", "False" or "Unknown"; anything else was written as "Unknown"."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    since: datetime | None = None
    observed_generation: int | None = None

    @property
    def true(self) -> bool:
        return self.status == "True"

    def __str__(self) -> str:
        """`Ready=False (ContainersNotReady: containers with unready status: [app])`"""
        why = ": ".join(text for text in (self.reason, self.message) if text)
        return f"{self.type}={self.status}" + (f" ({why})" if why else "")


@dataclass(frozen=True)
class Owner:
    """One entry of metadata.ownerReferences."""

    kind: str
    name: str
    uid: str
    controller: bool


def at(body: Mapping[str, Any] | None, *path: str | int, default: Any = None) -> Any:
    """What stands at that path, or `default` where any step of it is missing or null: `at(pod, "spec", "containers", 0, "image")`."""
    value: Any = body
    for step in path:
        if isinstance(value, Mapping):
            value = value.get(step)
        elif isinstance(value, list) and isinstance(step, int) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return default
    return default if value is None else value


def name(body: Object) -> str:
    return str(at(body, "metadata", "name", default=""))


def namespace(body: Object) -> str | None:
    """The namespace, None for an object of the cluster."""
    found = at(body, "metadata", "namespace")
    return None if found is None else str(found)


def uid(body: Object) -> str:
    """The object's identity: a new object of the same name has another. Raises ValueError for a body never stored."""
    found = str(at(body, "metadata", "uid", default=""))
    if not found:
        raise ValueError(f"{body.get('kind', 'object')} {name(body)!r} has no metadata.uid: expected an object as read from the API server")
    return found


def resource_version(body: Object) -> str:
    """The opaque version of the last write; compare for equality only."""
    return str(at(body, "metadata", "resourceVersion", default=""))


def labels(body: Object) -> dict[str, str]:
    return dict(at(body, "metadata", "labels", default={}))


def annotations(body: Object) -> dict[str, str]:
    return dict(at(body, "metadata", "annotations", default={}))


def owners(body: Object) -> list[Owner]:
    references = at(body, "metadata", "ownerReferences", default=[])
    return [Owner(str(o["kind"]), str(o["name"]), str(o["uid"]), bool(o.get("controller", False))) for o in references]


def controller(body: Object) -> Owner | None:
    """The owner that manages this object, if one does."""
    return next((owner for owner in owners(body) if owner.controller), None)


def created(body: Object) -> datetime:
    """When the object was stored, aware. Raises ValueError for a body never stored."""
    text = at(body, "metadata", "creationTimestamp")
    if text is None:
        raise ValueError(
            f"{body.get('kind', 'object')} {name(body)!r} has no creationTimestamp: expected an object as read from the API server"
        )
    return parse_time(str(text))


def deleting(body: Object) -> bool:
    """Whether a deletion was asked for and waits for finalizers or a grace period."""
    return at(body, "metadata", "deletionTimestamp") is not None


def conditions(body: Object) -> list[Condition]:
    found = at(body, "status", "conditions", default=[])
    return [_condition(entry) for entry in found if isinstance(entry, Mapping) and entry.get("type")]


def condition(body: Object, type_: str) -> Condition | None:
    """The condition of that type; None where the object's controller has not set one, which says nothing either way."""
    return next((c for c in conditions(body) if c.type == type_), None)


def parse_time(text: str) -> datetime:
    """An aware datetime from RFC 3339 as the API writes it. Raises ValueError for one without an offset: its instant is not known."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no time: expected RFC 3339, such as 2026-11-23T13:46:47Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset, so its instant is not known: expected RFC 3339 with Z or +hh:mm")
    return moment


def _condition(entry: Mapping[str, Any]) -> Condition:
    status = str(entry.get("status"))
    since = entry.get("lastTransitionTime")
    generation = entry.get("observedGeneration")
    return Condition(
        type=str(entry["type"]),
        status=status if status in ("True", "False") else "Unknown",
        reason=str(entry.get("reason") or ""),
        message=str(entry.get("message") or ""),
        since=parse_time(str(since)) if since else None,
        observed_generation=generation if isinstance(generation, int) else None,
    )
