"""Whether there is room for more pods: on the nodes by what is asked for there, and in the namespace by its quotas. Pure.

As the scheduler sees it: allocatable less the requests of what runs there, never the usage. Spread and affinity between pods are not
looked at, so room that is found may still not be taken; room that is not found is not there.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import number_of
from gsv_ops.maintenance.requests import Demand, amounts, demand, shown

ENDED = ("Succeeded", "Failed")
MOST_NAMED = 5


def free(nodes: Sequence[Object], pods: Sequence[Object], without: Collection[str] = ()) -> dict[str, dict[str, Decimal]]:
    """By node: what is allocatable and not asked for by its pods, of which those with the uids `without` are left out."""
    found = {objects.name(node): amounts(at(node, "status", "allocatable", default={})) for node in nodes}
    for pod in pods:
        room = found.get(str(at(pod, "spec", "nodeName", default="")))
        if room is None or at(pod, "status", "phase") in ENDED or objects.uid(pod) in without:
            continue
        for key, amount in {**demand(pod["spec"]).requests, "pods": Decimal(1)}.items():
            if key in room:
                room[key] -= amount
    return found


def no_room(spec: Object, count: int, nodes: Sequence[Object], rooms: dict[str, dict[str, Decimal]], asked: Demand) -> str:
    """Why so many more pods of that spec do not fit on the nodes; empty if they do."""
    unfit = {objects.name(node): why for node in nodes if (why := unfit_for(spec, node))}
    left = {name: dict(room) for name, room in rooms.items() if name not in unfit}
    needed = {**asked.requests, "pods": Decimal(1)}
    for number in range(count):
        fitting = [name for name, room in left.items() if not short(needed, room)]
        if not fitting:
            each = [f"{name}: {', '.join(short(needed, room))}" for name, room in left.items()] + [f"{n}: {w}" for n, w in unfit.items()]
            named = "; ".join(each[:MOST_NAMED]) + (f"; and {len(each) - MOST_NAMED} more nodes" if len(each) > MOST_NAMED else "")
            return f"{number} of {count} more pods have room on a node: {named or 'there is no node'}"
        best = max(fitting, key=lambda name: left[name].get("cpu", Decimal(0)))
        for key, amount in needed.items():
            left[best][key] = left[best].get(key, Decimal(0)) - amount
    return ""


def short(needed: dict[str, Decimal], room: dict[str, Decimal]) -> list[str]:
    """What of the needed is not there, a line each."""
    return [
        f"{key} {shown(key, max(room.get(key, Decimal(0)), Decimal(0)))} free, {shown(key, amount)} needed"
        for key, amount in needed.items()
        if amount > room.get(key, Decimal(0))
    ]


def unfit_for(spec: Object, node: Object) -> str:
    """Why no pod of that spec is put on the node, whatever room it has; empty if one may be."""
    ready = objects.condition(node, "Ready")
    if ready is None or not ready.true:
        return "it is not ready"
    if at(node, "spec", "unschedulable"):
        return "it is cordoned"
    labels = objects.labels(node)
    if any(labels.get(key) != value for key, value in at(spec, "nodeSelector", default={}).items()):
        return "it has not the labels of nodeSelector"
    for taint in at(node, "spec", "taints", default=[]):
        tolerated = any(_tolerates(t, taint) for t in at(spec, "tolerations", default=[]))
        if taint.get("effect") in ("NoSchedule", "NoExecute") and not tolerated:
            return f"its taint {taint.get('key')} is not tolerated"
    required = at(spec, "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms")
    if required is not None and not any(_chosen(term, node) for term in required):
        return "it is not one of nodeAffinity"
    return ""


def over_quota(quotas: Sequence[Object], spec: Object, asked: Demand, more: dict[str, Decimal]) -> list[str]:
    """Why quotas would refuse the pods, a line each. `more`: what would be used beyond now, by the quotas' own names (`requests.cpu`)."""
    found = []
    for quota in quotas:
        if not _counts(quota, spec, asked):
            continue
        name = objects.name(quota)
        hard, used = at(quota, "status", "hard"), at(quota, "status", "used", default={})
        if hard is None:
            found.append(f"ResourceQuota {name} does not say yet what is used of it")
            continue
        for key, most in hard.items():
            short = _full_name(key)
            if short in asked.missing:
                found.append(f"ResourceQuota {name} wants {short} of every container, and one has none")
            wanted = more.get(short, Decimal(0))
            if wanted > 0 and number_of(used.get(key, "0")) + wanted > number_of(most):
                has = shown(short, number_of(used.get(key, "0")))
                found.append(
                    f"ResourceQuota {name}: {short} {has} used of {shown(short, number_of(most))}, {shown(short, wanted)} more are needed"
                )
    return found


def quota_names(asked: Demand, count: int) -> dict[str, Decimal]:
    """What so many pods use, by the quotas' own names."""
    whole = {"pods": Decimal(1)}
    whole |= {f"requests.{key}": amount for key, amount in asked.requests.items()}
    whole |= {f"limits.{key}": amount for key, amount in asked.limits.items()}
    return {key: amount * count for key, amount in whole.items()}


def _full_name(key: str) -> str:
    return {"cpu": "requests.cpu", "memory": "requests.memory", "count/pods": "pods"}.get(key, key)


def _tolerates(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    if not toleration.get("key"):
        return toleration.get("operator") == "Exists"
    if toleration["key"] != taint.get("key"):
        return False
    return toleration.get("operator") == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")


def _chosen(term: Object, node: Object) -> bool:
    labels, fields = objects.labels(node), {"metadata.name": objects.name(node)}
    rules = [(rule, labels) for rule in term.get("matchExpressions") or []] + [(rule, fields) for rule in term.get("matchFields") or []]
    return bool(rules) and all(matches(rule, values) for rule, values in rules)


def matches(rule: Object, values: dict[str, str]) -> bool:
    """Whether one expression of a selector holds; one that is not known does not."""
    value, wanted = values.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in wanted
        case "NotIn":
            return value not in wanted
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as operator:
            if value is None or not value.isdigit():
                return False
            return int(value) > int(wanted[0]) if operator == "Gt" else int(value) < int(wanted[0])
    return False


def _counts(quota: Object, spec: Object, asked: Demand) -> bool:
    """Whether the quota counts pods of that spec."""
    scopes = [{"scopeName": scope, "operator": "Exists"} for scope in at(quota, "spec", "scopes", default=[])]
    for scope in [*scopes, *at(quota, "spec", "scopeSelector", "matchExpressions", default=[])]:
        name = scope["scopeName"]
        if name == "PriorityClass":
            value = spec.get("priorityClassName")
            holds = matches({**scope, "key": "class"}, {"class": value} if value else {})
        else:
            facts = {"BestEffort": asked.best_effort, "Terminating": spec.get("activeDeadlineSeconds") is not None}
            holds = facts[name] if name in facts else not facts.get(name.removeprefix("Not"), False)
        if not holds:
            return False
    return True
