"""What a pod asks of its node and its namespace, as the API server and the scheduler count it: pure.

Amounts are exact: cores for cpu, bytes for memory, by the resource's own name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import number_of

Amounts = Mapping[str, Decimal]
PLAIN = ("cpu", "memory", "ephemeral-storage")
"""What a container that names no amount of has none of; other resources are not asked for at all then."""


@dataclass(frozen=True)
class Demand:
    """What one pod asks for. `missing`: `limits.memory` and the like, which a container of it does not name."""

    requests: Amounts = field(default_factory=dict)
    limits: Amounts = field(default_factory=dict)
    missing: frozenset[str] = frozenset()

    @property
    def best_effort(self) -> bool:
        """Whether it asks for no cpu and no memory: it goes first when its node runs full."""
        return not any(amounts.get(key) for amounts in (self.requests, self.limits) for key in ("cpu", "memory"))


def demand(spec: Object, ranges: Sequence[Object] = ()) -> Demand:
    """What a pod of that spec asks for in a namespace with those LimitRanges. Raises ValueError for a quantity that is none."""
    containers = [effective(c, ranges) for c in at(spec, "containers", default=[])]
    requests, limits = _sum(c[0] for c in containers), _sum(c[1] for c in containers)
    first: dict[str, Decimal] = {}
    beside: dict[str, Decimal] = {}
    for body in at(spec, "initContainers", default=[]):
        asked, most = effective(body, ranges)
        containers.append((asked, most))
        if body.get("restartPolicy") == "Always":
            beside = _sum((beside, asked))
            limits = _sum((limits, most))
            first = _most(first, beside)
        else:
            first = _most(first, _sum((beside, asked)))
            limits = _most(limits, most)
    requests = _most(_sum((requests, beside)), first)
    overhead = amounts(at(spec, "overhead", default={}))
    # what the pod names as a whole stands above its containers'
    whole = {kind: amounts(at(spec, "resources", kind)) for kind in ("requests", "limits")}
    requests |= whole["requests"]
    limits |= whole["limits"]
    missing = {f"requests.{key}" for asked, _ in containers for key in PLAIN if key not in asked and key not in whole["requests"]}
    missing |= {f"limits.{key}" for _, most in containers for key in PLAIN if key not in most and key not in whole["limits"]}
    return Demand(_sum((requests, overhead)), _sum((limits, overhead)) if limits else limits, frozenset(missing))


def effective(container: Object, ranges: Sequence[Object] = ()) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """The container's requests and limits once the API server and the LimitRanges have filled in what it leaves out."""
    limits = amounts(at(container, "resources", "limits"))
    requests = limits | amounts(at(container, "resources", "requests"))
    for limit in of_type(ranges, "Container"):
        usual = amounts(limit.get("default"))
        requests = usual | amounts(limit.get("defaultRequest")) | requests
        limits = usual | limits
    return requests, limits


def of_type(ranges: Sequence[Object], type_: str) -> list[Object]:
    """The limits for that type (Container, Pod) of all LimitRanges."""
    return [limit for body in ranges for limit in at(body, "spec", "limits", default=[]) if limit.get("type") == type_]


def beyond_ranges(spec: Object, ranges: Sequence[Object]) -> list[str]:
    """Why LimitRanges would refuse a pod of that spec, a line each."""
    found: list[str] = []
    for container in at(spec, "containers", default=[]):
        requests, limits = effective(container, ranges)
        for limit in of_type(ranges, "Container"):
            found += _beyond(f"container {container.get('name')}", limit, requests, limits)
            for key, ratio in amounts(limit.get("maxLimitRequestRatio")).items():
                if requests.get(key) and limits.get(key, Decimal(0)) / requests[key] > ratio:
                    found.append(f"container {container.get('name')}: its limit of {key} is more than {ratio} times its request")
    whole = demand(spec, ranges)
    for limit in of_type(ranges, "Pod"):
        found += _beyond("the pod", limit, whole.requests, whole.limits)
    return found


def amounts(quantities: Mapping[str, str] | None) -> dict[str, Decimal]:
    """Quantities as numbers."""
    return {key: number_of(value) for key, value in (quantities or {}).items()}


def shown(key: str, amount: Decimal) -> str:
    """An amount as an operator reads it: `250m`, `1.5`, `512Mi`."""
    if key.endswith("cpu"):
        return f"{amount.normalize():f}" if amount >= 1 else f"{(amount * 1000).normalize():f}m"
    for factor, unit in ((2**30, "Gi"), (2**20, "Mi"), (2**10, "Ki")):
        if abs(amount) >= factor and key.endswith(("memory", "storage")):
            return f"{round(amount / factor, 2).normalize():f}{unit}"
    return f"{amount.normalize():f}"


def _beyond(what: str, limit: Object, requests: Amounts, limits: Amounts) -> list[str]:
    found = []
    for key, most in amounts(limit.get("max")).items():
        if limits.get(key) is None or limits[key] > most:
            has = shown(key, limits[key]) if key in limits else "none"
            found.append(f"{what}: its limit of {key} is {has}, the LimitRange's most is {shown(key, most)}")
    for key, least in amounts(limit.get("min")).items():
        if requests.get(key) is None or requests[key] < least:
            has = shown(key, requests[key]) if key in requests else "none"
            found.append(f"{what}: its request of {key} is {has}, the LimitRange's least is {shown(key, least)}")
    return found


def _sum(parts: Iterable[Amounts]) -> dict[str, Decimal]:
    found: dict[str, Decimal] = defaultdict(Decimal)
    for part in parts:
        for key, amount in part.items():
            found[key] += amount
    return dict(found)


def _most(one: Amounts, other: Amounts) -> dict[str, Decimal]:
    return {key: max(one.get(key, Decimal(0)), other.get(key, Decimal(0))) for key in {**one, **other}}
