"""The freeze: one object in the cluster that stops every desk from changing anything, until a time.

It is the Lease `gsv-ops-freeze`, whose annotations say who, why, until when and what is let through, so that every desk of the cluster, and
anybody with kubectl, sees the same. A freeze stops what has not begun: a run is refused before its first write, and a plan of several
writes stops at its next one. A backup or a proof that has begun goes on, since it takes down itself what it made. The end is judged
by each desk's own clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import LEASE
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Target

NAME = "gsv-ops-freeze"
FREEZE, UNFREEZE = "freeze_desk", "unfreeze_desk"
ALWAYS_ALLOWED = frozenset({FREEZE, UNFREEZE})
WHO, REASON, SINCE, UNTIL, ALLOW = (f"gsv-ops/{word}" for word in ("who", "reason", "since", "until", "allow"))


class Frozen(OperationFailed):
    """The desk is frozen, and nothing was written. The message says who froze it, why, until when, and how to end it."""


@dataclass(frozen=True)
class Freeze:
    """A freeze as it stands in the cluster. `until` is None where the object cannot be read: that counts as frozen."""

    who: str
    reason: str
    since: datetime | None
    until: datetime | None
    allow: frozenset[str]

    def holds(self, operation: str, now: datetime) -> bool:
        """Whether it stops that operation now."""
        return operation not in ALWAYS_ALLOWED | self.allow and (self.until is None or now < self.until)

    def active(self, now: datetime) -> bool:
        """Whether it stops anything now."""
        return self.until is None or now < self.until

    def __str__(self) -> str:
        until = f"until {_shown(self.until)}" if self.until else f"for ever: its {UNTIL} cannot be read"
        through = f"; let through: {', '.join(sorted(self.allow))}" if self.allow else ""
        since = f"since {_shown(self.since) if self.since else 'an unknown time'}"
        return f"frozen by {self.who or 'somebody'} {since} {until}: {self.reason or 'no reason given'}{through}"


def target(namespace: str, uid: str = "") -> Target:
    """The object that is the freeze."""
    return Target(LEASE.api_version, LEASE.kind, NAME, namespace, uid)


def find(kube: Kube, namespace: str) -> Object | None:
    """The object as it stands, also one whose time is over. Raises KubeError."""
    # a list, since it asks once: a `get` of what is not there looks for near names too
    return next(iter(kube.list(LEASE, namespace, fields=f"metadata.name={NAME}")), None)


def of(body: Object) -> Freeze:
    """What the object says."""
    said = objects.annotations(body)
    allow = frozenset(name.strip() for name in said.get(ALLOW, "").split(",") if name.strip())
    return Freeze(said.get(WHO, ""), said.get(REASON, ""), _time(said.get(SINCE, "")), _time(said.get(UNTIL, "")), allow)


def manifest(namespace: str, freeze: Freeze) -> Mapping[str, Any]:
    """The object that says it."""
    assert freeze.since is not None
    assert freeze.until is not None
    said = {
        WHO: freeze.who,
        REASON: freeze.reason,
        SINCE: freeze.since.isoformat(timespec="seconds"),
        UNTIL: freeze.until.isoformat(timespec="seconds"),
        ALLOW: ",".join(sorted(freeze.allow)),
    }
    metadata = {"name": NAME, "namespace": namespace, "annotations": said}
    # the holder is what `kubectl get leases` shows
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": metadata,
        "spec": {"holderIdentity": f"frozen by {freeze.who}"},
    }


def why_stopped(kube: Kube, namespace: str, operation: str, now: datetime) -> str:
    """Why the operation may not begin now; empty if no freeze holds it. Raises KubeError."""
    body = find(kube, namespace)
    if body is None:
        return ""
    freeze = of(body)
    if not freeze.holds(operation, now):
        return ""
    return f"the desk is {freeze}. To end it, launch {UNFREEZE}; to let {operation} through, launch {FREEZE} again and name it in `allow`."


def require_not_frozen(desk: Desk, operation: str) -> None:
    """Raise Frozen if a freeze stops the operation."""
    namespace = desk.spec.desk.lease_namespace
    if reason := why_stopped(desk.kube, namespace, operation, desk.now()):
        raise Frozen(f"{operation} was refused: {reason}", f"kubectl get lease {NAME} -n {namespace} -o yaml")


def _time(text: str) -> datetime | None:
    try:
        return objects.parse_time(text)
    except ValueError:
        return None


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
