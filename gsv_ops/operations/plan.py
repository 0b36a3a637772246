"""A change as a value: what would be done, to which object, why, and what was relied on when it was decided.

A plan is computed by pure code, shown, stored and applied only as it was shown. Its id is the same for the same decision and another
as soon as anything it relied on moves, so that "apply this plan" can never mean anything else than what was read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any, Literal

from gsv_ops.operations.records import DamagedRecord

Verb = Literal["create", "patch", "delete"]

RUN_NAME = "{run}"
"""Stands in a target's name for the short form of the run that applies the plan, so that a plan holds no generated name."""

SHORT_RUN = 8
ABSENT = object()


@dataclass(frozen=True)
class Target:
    """The object an action, or a decision not to act, is about. `uid` is empty for one that does not exist yet."""

    api_version: str
    kind: str
    name: str
    namespace: str = ""
    uid: str = ""

    def __str__(self) -> str:
        where = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {where}{self.name}"

    def for_run(self, run_id: str) -> Target:
        """The same target with the applying run's short id in its name."""
        return Target(self.api_version, self.kind, named(self.name, run_id), self.namespace, self.uid)


@dataclass(frozen=True)
class Action:
    """One change. `guard` holds the facts about the target it relies on, as paths into the object and their values.

    `body` is the whole manifest (create) or the patch (patch). It holds no secret value.
    """

    verb: Verb
    target: Target
    reason: str
    guard: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Kept:
    """An object that was looked at and is left alone, and why."""

    target: Target
    reason: str


@dataclass(frozen=True)
class Refused:
    """Something that was asked for and must not be done, and why. A plan with a refusal cannot be applied."""

    target: Target
    reason: str


@dataclass(frozen=True)
class Plan:
    """Everything one run of an operation would do.

    `facts` are what the decision relied on beyond its targets (plain JSON); `seen` is how many objects were considered. `shown` is what
    a reader should know and nothing was decided by, such as what moves every minute: rows of a table, a number, or text by its title.
    """

    operation: str
    environment: str
    cluster_identity: str
    params: Mapping[str, Any]
    actions: tuple[Action, ...] = ()
    kept: tuple[Kept, ...] = ()
    refused: tuple[Refused, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    seen: int = 0
    shown: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def id(self) -> str:
        """`p-` and 12 hexadecimal digits over the decision: no clock, no resourceVersion, no generated name, no secret value."""
        decision = {
            "environment": self.environment,
            "cluster": self.cluster_identity,
            "operation": self.operation,
            "params": self.params,
            "facts": self.facts,
            "actions": [_plain(action) for action in self.actions],
            "refused": [_plain(refusal) for refusal in self.refused],
        }
        return "p-" + hashlib.sha256(canonical(decision).encode()).hexdigest()[:12]

    def to_json(self) -> dict[str, Any]:
        """The plan as plain JSON, its id with it."""
        parts = {name: [_plain(item) for item in getattr(self, name)] for name in ("actions", "kept", "refused")}
        return {"id": self.id, **{entry.name: getattr(self, entry.name) for entry in fields(self)}, **parts}

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Plan:
        """The plan that `to_json` wrote. Raises DamagedRecord if it does not give the id it says it has."""
        plan = cls(
            operation=body["operation"],
            environment=body["environment"],
            cluster_identity=body["cluster_identity"],
            params=body["params"],
            actions=tuple(Action(a["verb"], Target(**a["target"]), a["reason"], a["guard"], a["body"]) for a in body["actions"]),
            kept=tuple(Kept(Target(**k["target"]), k["reason"]) for k in body["kept"]),
            refused=tuple(Refused(Target(**r["target"]), r["reason"]) for r in body["refused"]),
            facts=body["facts"],
            seen=body["seen"],
            shown=body.get("shown", {}),  # plans of before it was there are applied too
        )
        if body.get("id") != plan.id:
            raise DamagedRecord(
                f"the stored plan says it is {body.get('id')} but its content gives {plan.id}: it was changed after it was made"
            )
        return plan


def named(template: str, run_id: str) -> str:
    """The template with the run's short id in it: the same for every re-execution of one root run."""
    return template.replace(RUN_NAME, run_id.replace("-", "")[:SHORT_RUN])


def differences(was: Plan, now: Plan) -> list[str]:
    """What moved between two plans of one operation, a line each; empty when their ids agree."""
    lines: list[str] = []
    for what, before, after in (
        ("environment", was.environment, now.environment),
        ("cluster", was.cluster_identity, now.cluster_identity),
        ("operation", was.operation, now.operation),
        *_by_key("parameter", was.params, now.params),
        *_by_key("fact", was.facts, now.facts),
    ):
        if before is ABSENT or after is ABSENT or canonical(before) != canonical(after):
            lines.append(f"{what}: {_short(before)} -> {_short(after)}")
    lines += _moved("action", was.actions, now.actions)
    lines += _moved("refusal", was.refused, now.refused)
    return lines


def _plain(item: Action | Kept | Refused) -> dict[str, Any]:
    """As JSON has it; a plan may have thousands, for which `asdict` takes seconds."""
    return {**vars(item), "target": vars(item.target)}


def canonical(value: object) -> str:
    """JSON in one form only: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def _by_key(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    return [(f"{what} {key}", before.get(key, ABSENT), after.get(key, ABSENT)) for key in sorted({*before, *after})]


def _moved(what: str, before: Sequence[Action | Refused], after: Sequence[Action | Refused]) -> list[str]:
    old = {canonical(_plain(item)): item for item in before}
    new = {canonical(_plain(item)): item for item in after}
    gone = [f"{what} no longer planned: {_describe(old[key])}" for key in old if key not in new]
    come = [f"{what} not in the plan: {_describe(new[key])}" for key in new if key not in old]
    if not gone and not come and canonical([_plain(item) for item in before]) != canonical([_plain(item) for item in after]):
        return [f"{what}s: the same ones, in another order or number"]
    return gone + come


def _describe(item: Action | Refused) -> str:
    verb = f"{item.verb} " if isinstance(item, Action) else ""
    return f"{verb}{item.target} ({item.reason})"


def _short(value: object) -> str:
    if value is ABSENT:
        return "not there"
    text = value if isinstance(value, str) else canonical(value)
    return text if len(text) <= 120 else text[:117] + "..."
