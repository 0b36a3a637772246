"""What pods ask of each node against what it can give, as the scheduler reckons it, and what is really used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import number_of
from gsv_ops.maintenance.requests import Amounts, amounts, demand

CPU, MEMORY = "cpu", "memory"
NAMES = (CPU, MEMORY)
ZERO = Decimal(0)


@dataclass(frozen=True)
class Capacity:
    """One node: cores and bytes that it can give, that pods ask for, and that are used (None: not known). Pods beside how many it takes."""

    node: str
    allocatable: Amounts
    requested: Amounts
    used: Amounts | None
    pods: int
    most_pods: int


def capacities(nodes: Sequence[Object], pods: Iterable[Object], usage: Sequence[Object] | None) -> list[Capacity]:
    """Each node's, by its name. `usage`: the readings of metrics.k8s.io (None: there are none)."""
    on_node: dict[str, list[Object]] = {}
    for pod in pods:
        # as the scheduler: a pod that ended asks for nothing any more
        if at(pod, "status", "phase") not in ("Succeeded", "Failed"):
            on_node.setdefault(str(at(pod, "spec", "nodeName", default="")), []).append(pod)
    used = {objects.name(reading): _amounts(at(reading, "usage", default={})) for reading in usage or ()}
    return [
        Capacity(
            node=name,
            allocatable=_amounts(at(node, "status", "allocatable", default={})),
            requested=_sum(demand(pod["spec"]).requests for pod in on_node.get(name, ())),
            used=used.get(name),
            pods=len(on_node.get(name, ())),
            most_pods=int(number_of(at(node, "status", "allocatable", "pods", default=0))),
        )
        for node in sorted(nodes, key=objects.name)
        for name in (objects.name(node),)
    ]


def used_by(reading: Object) -> Amounts:
    """What all containers of a pod use, by its reading in metrics.k8s.io."""
    return _sum(_amounts(at(container, "usage", default={})) for container in reading.get("containers", []))


def percent(part: Decimal, whole: Decimal) -> float:
    """0 of 0 is nothing."""
    return round(float(100 * part / whole), 1) if whole else 0.0


def cores(amount: Decimal) -> str:
    return f"{float(amount):.2f}"


def size(amount: Decimal | int) -> str:
    """Bytes as people read them."""
    value = float(amount)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} TiB"


def _amounts(quantities: Mapping[str, Any]) -> Amounts:
    return amounts({name: quantities[name] for name in NAMES if name in quantities})


def _sum(several: Iterable[Amounts]) -> Amounts:
    every = list(several)
    return {name: sum((one.get(name, ZERO) for one in every), ZERO) for name in NAMES}
