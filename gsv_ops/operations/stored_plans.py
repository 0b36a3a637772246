"""Plans as they were shown: kept under their id, and refused when what they say no longer holds."""

from __future__ import annotations

from datetime import datetime, timedelta

from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan, differences

FOLDER = "plans"


def store(desk: Desk, plan: Plan, run_id: str) -> None:
    """Keep the plan that the run `run_id` shows; a plan made again is as young as its newest showing."""
    desk.records.write(f"{FOLDER}/{plan.id}", {"plan": plan.to_json(), "made_at": desk.now().isoformat(), "run_id": run_id})


def require_made_here(desk: Desk, plan: Plan, plan_id: str) -> None:
    """Raise OperationFailed unless the plan is of this environment and cluster, and the one that was asked for (empty: none was)."""
    # A run that is executed again finds the plan of its first time, when this process may have served another cluster.
    if (plan.environment, plan.cluster_identity) != (desk.environment, desk.cluster_identity):
        raise OperationFailed(
            f"this plan was made for environment {plan.environment!r}, cluster {plan.cluster_identity}, and this is {desk.environment!r}, "
            f"cluster {desk.cluster_identity}; nothing was done here. Launch a new run."
        )
    if plan_id and plan.id != plan_id:
        raise OperationFailed(f"the plan at hand is {plan.id}, not {plan_id} that was asked for; nothing was changed. Launch a new run.")


def require_same(desk: Desk, now: Plan, plan_id: str, plan_only_job: str) -> None:
    """Raise OperationFailed unless `plan_id` was shown not too long ago and is what would be planned `now`; it says what moved."""
    stored = desk.records.read(f"{FOLDER}/{plan_id}") if plan_id.startswith("p-") and plan_id[2:].isalnum() else None
    if stored is None:
        raise OperationFailed(
            f"no plan {plan_id!r} is known here; nothing was changed. Launch {plan_only_job} and apply the plan it shows."
        )
    age = desk.now() - datetime.fromisoformat(stored["made_at"])
    limit = timedelta(seconds=desk.spec.desk.plan_lifetime_seconds)
    if age > limit:
        raise OperationFailed(
            f"plan {plan_id} is {age // timedelta(minutes=1)} minutes old, older than {limit}; nothing was changed. "
            f"Launch {plan_only_job} again."
        )
    if now.id != plan_id:
        what = f"since plan {plan_id} was made"
        raise _moved_on(Plan.from_json(stored["plan"]), now, what, f"Launch {plan_only_job} again and read the new plan.")


def require_unmoved(plan: Plan, now: Plan, waited: timedelta) -> None:
    """Raise OperationFailed unless a plan that nobody asked for by its id, and that waited for its turn, is what would be planned `now`."""
    if now.id != plan.id:
        what = f"while this run waited {waited // timedelta(minutes=1)} minutes for its turn"
        raise _moved_on(plan, now, what, "Launch the same run again: it plans anew.")


def _moved_on(was: Plan, now: Plan, when: str, to_do: str) -> OperationFailed:
    moved = "\n  ".join(differences(was, now) or ["the plan's content"])
    return OperationFailed(f"the cluster has moved on {when}; nothing was changed. What moved:\n  {moved}\n{to_do}")
