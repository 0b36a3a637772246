"""What can go wrong between gsv_ops and the API server: a small tree by meaning, each message saying how to mend it.

Nothing here holds a response's headers or body, nor the client library's exception: Dagster stores what a failed step raised, with
its causes, and those carry tokens and the values of Secrets. Raise these `from None`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gsv_ops.kube.protocol import Resource


class KubeError(Exception):
    """A verb that did not succeed. `reason` is one word for the kind of failure, `status` the HTTP status (0: none was received)."""

    default_reason: ClassVar[str] = "Error"

    def __init__(
        self,
        message: str,
        *,
        verb: str = "",
        resource: Resource | None = None,
        namespace: str | None = None,
        name: str = "",
        status: int = 0,
        reason: str = "",
    ) -> None:
        super().__init__(message)
        self.reason = reason or self.default_reason
        self.verb = verb
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.status = status


class NotConfigured(KubeError):
    """No cluster can be chosen: no kubeconfig, an unreadable one, or a context it does not hold."""

    default_reason = "NotConfigured"


class Unavailable(KubeError):
    """The API server did not answer within the verb's time, or answered that it cannot."""

    default_reason = "Unavailable"


class TooManyRequests(Unavailable):
    """The API server kept asking us to slow down (429) until the verb's retries or time were used up."""

    default_reason = "TooManyRequests"


class Unauthorized(KubeError):
    """The API server does not know who we are (401)."""

    default_reason = "Unauthorized"


class Forbidden(KubeError):
    """We may not (403): by RBAC, then `user` and `rule` say who lacks what, or by an admission rule such as a quota."""

    default_reason = "Forbidden"

    user: str = ""
    rule: str = ""


class NotFound(KubeError):
    """There is no such object (404). `near` holds names in the same place that look alike."""

    default_reason = "NotFound"

    near: tuple[str, ...] = ()


class NamespaceNotFound(NotFound):
    """The object is not there because its namespace is not."""

    default_reason = "NamespaceNotFound"


class NotServed(NotFound):
    """The API server does not know this kind of object: its CustomResourceDefinition is not installed, or not in this version."""

    default_reason = "NotServed"


class AlreadyExists(KubeError):
    """The name is taken by an object that this create did not make (409)."""

    default_reason = "AlreadyExists"


class Conflict(KubeError):
    """The object is no longer what the write relied on, or another field manager owns the fields (409); `managers` names them."""

    default_reason = "Conflict"

    managers: tuple[str, ...] = ()


class Invalid(KubeError):
    """The API server refuses the body (400, 413, 415, 422). `fields` holds `path: what is wrong`, without values for a Secret."""

    default_reason = "Invalid"

    fields: tuple[str, ...] = ()


class WaitTimeout(KubeError):
    """What was waited for did not come about in time. Quotes the object's conditions and its latest events."""

    default_reason = "WaitTimeout"

    def __init__(
        self,
        message: str,
        *,
        what: str,
        conditions: Sequence[str] = (),
        events: Sequence[str] = (),
        verb: str = "wait",
        resource: Resource | None = None,
        namespace: str | None = None,
        name: str = "",
    ) -> None:
        super().__init__(message, verb=verb, resource=resource, namespace=namespace, name=name)
        self.what = what
        self.conditions = tuple(conditions)
        self.events = tuple(events)


class StreamFailed(KubeError):
    """A stream to a container or a port broke, or never came to be."""

    default_reason = "StreamFailed"


class ExecFailed(StreamFailed):
    """A command could not be run to its end: no such container or program, its time was up, or its output was too large."""

    default_reason = "ExecFailed"


class UnexpectedResponse(KubeError):
    """The API server answered with something that this client has no meaning for."""

    default_reason = "UnexpectedResponse"


def subject(resource: Resource | None, namespace: str | None, name: str) -> str:
    """`pods "web-0" in namespace "cmp"`: how every message names what it is about."""
    if resource is None:
        return name or "the API server"
    text = resource.qualified
    if name:
        text += f' "{name}"'
    if namespace:
        text += f' in namespace "{namespace}"'
    return text
