"""What made a recovery fail that is no fault of the backup: then nothing is proven, and nothing is known to be wrong with it either."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

# Why the kubelet or the node controller ends a pod that did nothing wrong (Kubernetes 1.36).
FROM_OUTSIDE = ("Evicted", "NodeLost", "NodeShutdown", "Terminated", "Preempting", "NodeAffinity", "OutOfmemory", "OutOfcpu")
OUT_OF_MEMORY = "OOMKilled"

# The words of tar, PostgreSQL, botocore (1.40) and the Barman Cloud plugin (0.14), and what to do about it.
SURROUNDINGS = (
    (
        re.compile(r"No space left on device"),
        "the scratch volume, or the disk below it, is full; free it, or grow the source's spec.storage.size",
    ),
    (
        re.compile(
            r"Could not connect to the endpoint|Connect timeout on endpoint|Read timeout on endpoint|EndpointConnectionError"
            r"|Connection was closed before we received a valid response|Failed to connect to proxy|connectivity failure"
        ),
        "the object store did not answer; check that it runs and can be reached from the pods, then prove again",
    ),
    (
        re.compile(r"SignatureDoesNotMatch|InvalidAccessKeyId|AccessDenied|ExpiredToken|\(40[13]\) when calling"),
        "the object store refused the credentials; check the Secret that the ObjectStore names, then prove again",
    ),
)


def by_the_node(pods: Sequence[Object]) -> str:
    """What ended a recovery's pod from outside: the node or the kernel, not what it restored. Empty where nothing did."""
    found = []
    for pod in pods:
        reason = str(at(pod, "status", "reason", default="") or "")
        if reason in FROM_OUTSIDE or objects.deleting(pod):
            found.append(f"pod {objects.name(pod)}: {reason or 'it is being deleted'}")
        for status in at(pod, "status", "containerStatuses", default=[]) or []:
            if at(status, "state", "terminated", "reason") == OUT_OF_MEMORY:
                found.append(f"pod {objects.name(pod)}, container {status['name']}: {OUT_OF_MEMORY}")
    return "; ".join(found)


def by_its_surroundings(complaints: Iterable[str]) -> str:
    """Which of a recovery's complaints are about what it stands on, with the first such line of each kind. Empty where none is."""
    every = list(complaints)
    found = []
    for pattern, meaning in SURROUNDINGS:
        line = next((text for text in every if pattern.search(text)), "")
        if line:
            found.append(f"{meaning} ({line})")
    return "; ".join(found)
