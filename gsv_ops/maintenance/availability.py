"""How many pods a rollout takes away at most, and how many it makes beside them, by the workload's own strategy. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import DAEMON_SET, DEPLOYMENT
from gsv_ops.maintenance.room import matches


@dataclass(frozen=True)
class Pace:
    """`surge`: pods beside the wanted ones at most. `lowest`: how many of the wanted ones are there at least. `how` in words."""

    surge: int
    lowest: int
    how: str


def wanted(workload: Object) -> int:
    """How many pods it is to have: of a DaemonSet, the nodes that should have one."""
    if workload["kind"] == DAEMON_SET.kind:
        return int(at(workload, "status", "desiredNumberScheduled", default=0))
    return int(at(workload, "spec", "replicas", default=1))


def pace(workload: Object) -> Pace:
    """What its strategy allows while all of its pods are replaced."""
    count = wanted(workload)
    if workload["kind"] == DEPLOYMENT.kind:
        if at(workload, "spec", "strategy", "type") == "Recreate":
            return Pace(0, 0, "strategy Recreate: all pods end before the first new one starts")
        rolling = at(workload, "spec", "strategy", "rollingUpdate", default={})
        surge = _share(rolling.get("maxSurge", "25%"), count, ceil)
        away = _share(rolling.get("maxUnavailable", "25%"), count, floor)
        # as the controller does: where both come to nothing, one pod may be away
        away = away or (1 if surge == 0 else 0)
    else:
        rolling = at(workload, "spec", "updateStrategy", "rollingUpdate", default={})
        surge = _share(rolling.get("maxSurge", 0), count, ceil) if workload["kind"] == DAEMON_SET.kind else 0
        away = 0 if surge else max(1, _share(rolling.get("maxUnavailable", 1), count, ceil))
    away = min(away, count)
    return Pace(surge, count - away, f"at most {away} of {count} pods away, {surge} more beside them")


def below_budgets(budgets: Sequence[Object], workload: Object, lowest: int, count: int) -> list[str]:
    """Which PodDisruptionBudgets of the workload's pods ask for more than `lowest` of `count` pods, a line each."""
    found = []
    for budget in of_workload(budgets, workload):
        needed = needs(budget, count)
        if lowest < needed:
            found.append(
                f"PodDisruptionBudget {objects.name(budget)} asks for {needed} available pods of {count}, and {lowest} would be left"
            )
    return found


def of_workload(budgets: Sequence[Object], workload: Object) -> list[Object]:
    """The budgets whose selector chooses the pods of the workload's template."""
    labels = at(workload, "spec", "template", "metadata", "labels", default={})
    return [budget for budget in budgets if _selects(at(budget, "spec", "selector"), labels)]


def needs(budget: Object, count: int) -> int:
    """How many of so many pods it wants to be available."""
    if (least := at(budget, "spec", "minAvailable")) is not None:
        return _share(least, count, ceil)
    return count - _share(at(budget, "spec", "maxUnavailable", default=0), count, ceil)


def selector_text(selector: Object) -> str:
    """A selector as a list takes it."""
    operators = {"In": "{} in ({})", "NotIn": "{} notin ({})", "Exists": "{}", "DoesNotExist": "!{}"}
    plain = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    rules = selector.get("matchExpressions") or []
    return ",".join([*plain, *(operators[r["operator"]].format(r["key"], ", ".join(r.get("values") or [])) for r in rules)])


def _selects(selector: Object | None, labels: dict[str, str]) -> bool:
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(matches(rule, labels) for rule in selector.get("matchExpressions") or [])


def _share(value: int | str, count: int, rounding: Callable[[float], int]) -> int:
    if isinstance(value, int):
        return value
    return rounding(int(value.removesuffix("%")) * count / 100)
