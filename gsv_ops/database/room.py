"""Whether the volumes of a restored cluster fit: the database in them, and they in the namespace's quota."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import bytes_of

UNKNOWN_SIZE = "the size of the source's volumes is not known: expected spec.storage.size, or its PersistentVolumeClaims"


def volumes(cluster: Object, sizes: Mapping[str, str]) -> list[int]:
    """The bytes of each volume of one instance, that of the data first. `sizes` go before the spec's. Empty where one is not known."""
    parts = [part for part in ("storage", "walStorage") if at(cluster, "spec", part)]
    known = [sizes.get(part) or at(cluster, "spec", part, "size") for part in parts]
    known += [at(space, "storage", "size") for space in at(cluster, "spec", "tablespaces", default=[])]
    return [] if not parts or None in known else [bytes_of(size) for size in known]


def why_none(wanted: Sequence[int], needed: int, margin: int, quotas: Sequence[Object], named: str, hint: str) -> list[str]:
    """Every reason why the volumes would not do: `needed` bytes of data with `margin` percent, and what quotas leave.

    `named` is what the message calls the first volume, `hint` how to mend that it is too small.
    """
    reasons = []
    needed = needed * (100 + margin) // 100
    if needed > wanted[0]:
        reasons.append(f"the database has {needed} bytes with a margin of {margin} %, {named} only {wanted[0]}; {hint}")
    for quota in quotas:
        for key, more in (("requests.storage", sum(wanted)), ("persistentvolumeclaims", len(wanted))):
            hard, used = at(quota, "status", "hard", key), at(quota, "status", "used", key)
            if hard is not None and used is not None and bytes_of(hard) - bytes_of(used) < more:
                reasons.append(f"ResourceQuota {objects.name(quota)} leaves no room: {key} {used} of {hard} used, {more} more needed")
    return reasons
