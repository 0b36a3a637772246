"""Which of several desks acts on a cluster by itself: the one that holds the Lease in that cluster.

A desk takes the Lease when nobody has it or its holder has not renewed it for as long as the holder itself promised. Whether that time is
over is judged by the API server's clock alone: it stamps every write with its own time (metadata.managedFields), and a dry run of the
take-over says what time it is there. No desk's clock, ahead or behind, can take a Lease away early or keep it for ever. Every write is
conditional on the version that was read, so of two desks that try at once exactly one succeeds. Nothing is written when a desk stops: its
Lease runs out.
"""

from __future__ import annotations

import hashlib
import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from gsv_ops.kube.errors import AlreadyExists, Conflict, NamespaceNotFound, NotFound
from gsv_ops.kube.objects import at, parse_time, resource_version, uid
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import LEASE

NAME = "gsv-ops-desk"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
ATTEMPTS = 3
STAMP_RESOLUTION = timedelta(seconds=1)
"""The API server's stamps are whole seconds."""


@dataclass(frozen=True)
class Holding:
    """Who holds the Lease, as of the last look: since when, and until when unless it is renewed. `ours`: it is this desk."""

    ours: bool
    holder: str
    since: str
    until: str

    def __str__(self) -> str:
        return f"{self.holder}, since {self.since}, until {self.until} unless it renews it"


def identity(environment: str, environ: Mapping[str, str] = os.environ) -> str:
    """This desk's name in the Lease: environment/host/instance, the same for every process that shares one DAGSTER_HOME."""
    return f"{environment}/{socket.gethostname()}/{_instance(environ.get('DAGSTER_HOME', ''))}"


def hold(kube: Kube, namespace: str, seconds: int, holder: str, now: datetime) -> Holding:
    """Take the Lease or renew it for `seconds`, if it is free, expired or ours; who holds it then. Raises KubeError.

    Renewing waits until a third of the time is over: a tick that finds its Lease younger writes nothing. `now`, this desk's clock, is only
    ever compared with what this desk wrote itself.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            try:
                found = kube.get(LEASE, NAME, namespace)
            except NamespaceNotFound:
                raise
            except NotFound:
                return _holding(kube.create(_new(namespace, seconds, holder, now)), holder)
            return _take(kube, found, seconds, holder, now)
        except (AlreadyExists, Conflict):
            # another desk wrote between our read and our write: look again
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _take(kube: Kube, found: Object, seconds: int, holder: str, now: datetime) -> Holding:
    namespace = str(at(found, "metadata", "namespace"))
    if at(found, "spec", "holderIdentity") == holder:
        age = now - _time(at(found, "spec", "renewTime"), default=now - timedelta(days=1))
        if timedelta(0) <= age < timedelta(seconds=seconds) / 3:
            return _holding(found, holder)
        return _holding(kube.patch(LEASE, NAME, namespace, _renewed(found, seconds, now)), holder)
    patch = _renewed(found, seconds, now)
    patch["spec"] |= {
        "holderIdentity": holder,
        "acquireTime": _micro(now),
        "leaseTransitions": int(at(found, "spec", "leaseTransitions", default=0)) + 1,
    }
    there = _stamp(kube.patch(LEASE, NAME, namespace, patch, dry_run=True))
    if at(found, "spec", "holderIdentity") and there <= _end(found) + STAMP_RESOLUTION:
        return _holding(found, holder)
    return _holding(kube.patch(LEASE, NAME, namespace, patch), holder)


def _holding(body: Object, holder: str) -> Holding:
    who = str(at(body, "spec", "holderIdentity", default="nobody"))
    since = _time(at(body, "spec", "acquireTime"), default=_stamp(body))
    return Holding(who == holder, who, _shown(since), _shown(_end(body)))


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _end(body: Object) -> datetime:
    """When the Lease expires, by the API server's clock."""
    return _stamp(body) + timedelta(seconds=int(at(body, "spec", "leaseDurationSeconds", default=0)))


def _stamp(body: Object) -> datetime:
    """When the API server stored renewTime, by its own clock; where it keeps no such stamp, what the holder wrote."""
    for entry in at(body, "metadata", "managedFields", default=[]):
        if at(entry, "fieldsV1", "f:spec", "f:renewTime") is not None and entry.get("time"):
            return parse_time(str(entry["time"]))
    return _time(at(body, "spec", "renewTime"), default=parse_time(str(at(body, "metadata", "creationTimestamp"))))


def _new(namespace: str, seconds: int, holder: str, now: datetime) -> Object:
    return {
        "apiVersion": LEASE.api_version,
        "kind": LEASE.kind,
        "metadata": {"name": NAME, "namespace": namespace},
        "spec": {
            "holderIdentity": holder,
            "acquireTime": _micro(now),
            "renewTime": _micro(now),
            "leaseDurationSeconds": seconds,
            "leaseTransitions": 0,
        },
    }


def _renewed(found: Object, seconds: int, now: datetime) -> dict[str, Any]:
    return {
        "metadata": {"uid": uid(found), "resourceVersion": resource_version(found)},
        "spec": {"renewTime": _micro(now), "leaseDurationSeconds": seconds},
    }


def _time(text: object, default: datetime) -> datetime:
    try:
        return parse_time(str(text))
    except ValueError:
        return default


def _micro(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@cache
def _instance(dagster_home: str) -> str:
    # Two machines made from one image share their name, their files and their machine-id, and not the boot.
    machine = BOOT_ID.read_text().strip() if BOOT_ID.exists() else str(uuid.getnode())
    where = str(Path(dagster_home).resolve()) if dagster_home else f"process {os.getpid()}"
    return hashlib.sha256(f"{machine} {where}".encode()).hexdigest()[:8]
