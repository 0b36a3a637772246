"""What a workload's containers use now, as metrics.k8s.io measured it, beside what they are to get at most. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.maintenance.look import ACCEPT, Look
from gsv_ops.maintenance.requests import Amounts, amounts, shown
from gsv_ops.maintenance.workload import Seen


def looked_at(found: Look, seen: Seen, container: str, limits: Amounts, accepted: bool) -> None:
    """Tell what every container uses. A memory limit that this one has outgrown would have it killed at once: refused, but if accepted."""
    most = _most_used(seen)
    if not most:
        why = "its pods were not measured yet" if isinstance(seen.usage, tuple) else seen.usage.why
        found.remark(f"what its containers use is not known: {why}")
        return
    for name, (pod, used) in sorted(most.items()):
        told = ", ".join(f"{key} {shown(key, used[key])}" for key in ("cpu", "memory") if key in used)
        found.remark(f"container {name} uses {told} now, in the pod that uses most memory ({pod})")
    pod, used = most.get(container, ("", {}))
    limit = limits.get("memory")
    if limit is None or used.get("memory", Decimal(0)) < limit:
        return
    text = (
        f"container {container} uses memory {shown('memory', used['memory'])} in {pod} now, and would be killed at {shown('memory', limit)}"
    )
    if accepted:
        found.remark(f"accepted: {text}")
    else:
        found.refusals.append(f"{text}; {ACCEPT}")


def _most_used(seen: Seen) -> dict[str, tuple[str, Amounts]]:
    """By container: the pod of the workload in which it uses most memory, and what it uses there."""
    found: dict[str, tuple[str, Amounts]] = {}
    for pod, name, used in _readings(seen):
        if name not in found or used.get("memory", Decimal(0)) > found[name][1].get("memory", Decimal(0)):
            found[name] = (pod, used)
    return found


def _readings(seen: Seen) -> Iterator[tuple[str, str, Amounts]]:
    own = {objects.name(pod) for pod in seen.pods}
    for reading in seen.usage if isinstance(seen.usage, tuple) else ():
        if objects.name(reading) in own:
            for container in at(reading, "containers", default=[]):
                yield objects.name(reading), str(container.get("name")), amounts(container.get("usage"))
