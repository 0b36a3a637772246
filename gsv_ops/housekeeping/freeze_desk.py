"""freeze_desk: stops every schedule, sensor and operation that changes something, on every desk of the cluster, until a time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from pydantic import Field, field_validator, model_validator

from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import apply, freeze
from gsv_ops.operations.freeze import Freeze
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Operation, OperationFailed, Params, PlanFrame, Timestamp, Verdict
from gsv_ops.operations.plan import Action, Plan, Refused
from gsv_ops.platform.spec import PlatformSpec

GUARDED = (freeze.WHO, freeze.REASON, freeze.SINCE, freeze.UNTIL, freeze.ALLOW)
LONGEST_TEXT = 500


class FreezeDesk(Params):
    """Who freezes, why, until when, and what may go on."""

    reason: str = Field(default="", max_length=LONGEST_TEXT, description="Why. Shown to everybody who is refused. No secrets.")
    who: str = Field(default="", max_length=LONGEST_TEXT, description="Who freezes, and how to reach them: Dagster knows no names.")
    minutes: int = Field(default=60, ge=1, description="For how long, from when it is applied. It ends by itself.")
    until: str = Field(default="", description="Instead of minutes: the end as RFC 3339 with zone, such as 2026-11-24T18:00:00+01:00.")
    allow: list[str] = Field(
        default=[], description="Operations that are let through by name, such as restore_database, promote_replica or undo."
    )

    @field_validator("until")
    @classmethod
    def _aware(cls, text: str) -> str:
        if text:
            objects.parse_time(text)
        return text

    @field_validator("allow")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        for name in names:
            if not name.isidentifier():
                raise ValueError(f"{name!r} is no operation's name; expected one such as backup_database")
        return sorted(set(names))

    @model_validator(mode="after")
    def _said(self) -> Self:
        require_said(reason=self.reason, who=self.who)
        return self


@dataclass(frozen=True)
class Found:
    """The freeze as it stands, if there is one, and the namespace it belongs in."""

    body: Object | None
    namespace: str


def require_said(**texts: str) -> None:
    """Raise ValueError for a text that an operator left empty."""
    for name, text in texts.items():
        if not text.strip():
            raise ValueError(f"{name} is empty; say it, since everybody who is stopped by the freeze, or wonders later, reads it")


def observe(desk: Desk, params: Params) -> Found:
    """The freeze as it stands."""
    namespace = desk.spec.desk.lease_namespace
    return Found(freeze.find(desk.kube, namespace), namespace)


def plan(spec: PlatformSpec, found: Found, params: FreezeDesk, frame: PlanFrame, now: datetime) -> Plan:
    """The Lease made, or changed where there is one. An end that is past, or too far off, is refused."""
    uid = objects.uid(found.body) if found.body else ""
    target = freeze.target(found.namespace, uid)
    longest = timedelta(minutes=spec.desk.freeze_longest_minutes)
    length = end_of(params, now) - now
    if length <= timedelta(0):
        return frame.plan(refused=(Refused(target, f"until {params.until} is past; nothing would be frozen"),))
    if length > longest:
        return frame.plan(refused=(Refused(target, f"that is longer than desk.freeze_longest_minutes allows ({longest})"),))
    ends = f"until {params.until}" if params.until else f"for {params.minutes} minutes from when it is applied"
    through = f", but {', '.join(params.allow)}" if params.allow else ""
    reason = f"everything stops{through}, {ends}: {params.reason} ({params.who})"
    if found.body is None:
        return frame.plan(actions=(Action("create", target, reason),), facts={"frozen now": "no"}, seen=0)
    guard = {f"metadata.annotations.{key}": objects.annotations(found.body).get(key) for key in GUARDED}
    facts = {"frozen now": str(freeze.of(found.body))}
    return frame.plan(actions=(Action("patch", target, reason, guard),), facts=facts, seen=1)


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Write the Lease. The clock enters only here, so that a plan stays what it is while it is read."""
    params = FreezeDesk.model_validate(plan.params)
    now = desk.now()
    until = end_of(params, now)
    wanted = Freeze(params.who, params.reason, now, until, frozenset(params.allow))
    for action in plan.actions:
        body = dict(freeze.manifest(action.target.namespace, wanted))
        if action.verb == "create":
            apply.create(desk, replace(action, body=body), journal)
        else:
            change = {"metadata": {"annotations": body["metadata"]["annotations"]}, "spec": body["spec"]}
            apply.patch(desk, replace(action, body=change), journal)
    return {"until": until.isoformat(timespec="seconds")}


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when the cluster says that the desk is frozen, by whom and until when it was asked."""
    body = freeze.find(desk.kube, desk.spec.desk.lease_namespace)
    found = freeze.of(body) if body else None
    until = objects.parse_time(results["until"])
    if found is None or (found.who, found.until) != (plan.params["who"], until):
        raise OperationFailed(f"the desk is not frozen as it was asked to be: it is {found or 'not frozen'}")
    return Verdict(
        "good",
        f"the desk is {found}. It ends by itself; to end it sooner, launch {freeze.UNFREEZE}.",
        {
            "frozen by": found.who,
            "why": found.reason,
            "until": Timestamp(until),
            "let through": ", ".join(sorted(found.allow)) or "nothing",
        },
        word="frozen",
    )


def end_of(params: FreezeDesk, now: datetime) -> datetime:
    """When a freeze that begins now ends."""
    return objects.parse_time(params.until) if params.until else (now + timedelta(minutes=params.minutes)).replace(microsecond=0)


FREEZE_DESK = Operation(
    name=freeze.FREEZE,
    description=f"""
Freezes the desk: nothing is changed by any schedule, sensor or operation, on any desk of this cluster, until the time you give.

**When to run:** before work on the platform that must not be disturbed, or when something goes wrong and you want quiet to look.
Frozen already: it replaces the freeze that is there. `mode` is apply, since freezing harms nothing.

**What it changes:** one object, the Lease `{freeze.NAME}`. Plans and checks go on. What is under way: a backup or a proof that has begun
runs to its end and takes down what it made; a plan of several changes stops at its next one; a run that waits is refused when it starts.

**How to undo:** launch `{freeze.UNFREEZE}`; without a desk, `kubectl delete lease {freeze.NAME} -n <desk.lease_namespace>`.
""",
    params=FreezeDesk,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; it replaces the freeze that is there.",
    default_mode="apply",
)
