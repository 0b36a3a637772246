"""The kubectl lines with which an operator looks, without the desk, at what a run did. They only read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsv_ops.kube.protocol import Resource
from gsv_ops.kube.resources import BY_KIND
from gsv_ops.operations.plan import Plan, Target

MOST_NAMED = 5
Wanted = dict[tuple[bool, Resource, str], list[str]]


def at_targets(plan: Plan, run_id: str, results: Mapping[str, Any]) -> list[str]:
    """For each kind and namespace of the plan one line: what was made or changed is described, what was deleted is asked for.

    A plan without actions is looked at by what it left alone. Empty only for a plan about nothing that kubectl knows.
    """
    wanted: Wanted = {}
    for action in plan.actions:
        _want(wanted, action.target.for_run(run_id), gone=action.verb == "delete")
    if not wanted:
        for kept in plan.kept:
            _want(wanted, kept.target, gone=False)
    return [line(gone, resource, namespace, names) for (gone, resource, namespace), names in wanted.items()]


def line(gone: bool, resource: Resource, namespace: str, names: list[str]) -> str:
    """`kubectl describe` of the objects; `kubectl get` where they should be gone. More than a few are not named one by one."""
    words = ["kubectl", "get" if gone or len(names) > MOST_NAMED else "describe", resource.qualified]
    words += ["-n", namespace] if namespace else []
    words += names if len(names) <= MOST_NAMED else []
    return " ".join([*words, "--ignore-not-found"] if gone else words)


def _want(wanted: Wanted, target: Target, *, gone: bool) -> None:
    resource = BY_KIND.get((target.api_version, target.kind))
    if resource is not None:
        names = wanted.setdefault((gone, resource, target.namespace), [])
        if target.name not in names:
            names.append(target.name)
