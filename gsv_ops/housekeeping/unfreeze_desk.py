"""unfreeze_desk: ends a freeze before its time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import Field, model_validator

from gsv_ops.housekeeping.freeze_desk import GUARDED, LONGEST_TEXT, Found, observe, require_said
from gsv_ops.kube import objects
from gsv_ops.operations import freeze
from gsv_ops.operations.apply import apply_plan
from gsv_ops.operations.operation import Desk, Operation, OperationFailed, Params, PlanFrame, Verdict
from gsv_ops.operations.plan import Action, Plan
from gsv_ops.platform.spec import PlatformSpec


class UnfreezeDesk(Params):
    """Who ends the freeze."""

    who: str = Field(default="", max_length=LONGEST_TEXT, description="Who ends it: it is kept in the evidence.")

    @model_validator(mode="after")
    def _said(self) -> Self:
        require_said(who=self.who)
        return self


def plan(spec: PlatformSpec, found: Found, params: UnfreezeDesk, frame: PlanFrame, now: datetime) -> Plan:
    """The Lease deleted; nothing where there is none."""
    if found.body is None:
        return frame.plan(facts={"frozen now": "no"})
    target = freeze.target(found.namespace, objects.uid(found.body))
    guard = {f"metadata.annotations.{key}": objects.annotations(found.body).get(key) for key in GUARDED}
    stands = freeze.of(found.body)
    state = str(stands) if stands.active(now) else f"no longer: {stands}"
    return frame.plan(actions=(Action("delete", target, f"{params.who} ends it", guard),), facts={"frozen now": state}, seen=1)


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """Good when the cluster says that nothing is frozen."""
    if (body := freeze.find(desk.kube, desk.spec.desk.lease_namespace)) is not None:
        raise OperationFailed(f"the desk is still, or again, {freeze.of(body)}")
    was = plan.facts["frozen now"]
    return Verdict("good", "the desk is not frozen; schedules and sensors go on at their next tick", {"it was": was}, word="not frozen")


UNFREEZE_DESK = Operation(
    name=freeze.UNFREEZE,
    description=f"""
Ends a freeze of the desk before its time. `mode: plan` shows who froze it and why.

**When to run:** when the work that the desk was frozen for is done.

**What it changes:** deletes one object, the Lease `{freeze.NAME}`, if it is still the freeze that was looked at.

**How to undo:** launch `{freeze.FREEZE}`.
""",
    params=UnfreezeDesk,
    observe=observe,
    plan=plan,
    execute=apply_plan,
    verify=verify,
    rerun="yes; what is not frozen stays so.",
    default_mode="apply",
)
