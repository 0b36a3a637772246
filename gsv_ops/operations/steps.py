"""The three steps every operation runs through in Dagster: plan, apply, verify; the same on every run's timeline.

The bodies only translate: from Dagster's context to a Desk, from exceptions to a failed step that ends with the four lines.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import dagster as dg

from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import freeze, report, stored_plans
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.ending import four_lines
from gsv_ops.operations.explained import explained, said, write_evidence
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Operation, OperationFailed, PlanFrame, nothing_to_release
from gsv_ops.operations.plan import Plan

WORK = "work"
"""The key, beside a plan, of the run that planned it: its journal and the names it gives carry that run's id."""

PLANNED = "planned_at"
"""The key, beside a plan, of when it was made: a run may wait long for its turn."""

MOST_RE_EXECUTIONS = 100


def desk_of(context: dg.OpExecutionContext, factory: DeskFactory, work: str = "") -> Desk:
    """The Desk of the run that `context` belongs to, for the work that was begun by run `work` (by default by this one)."""
    work = work or context.run_id
    return factory.desk(work, context.log.info, lambda other: is_over(context.instance, other, context.run_id if other != work else ""))


def is_over(instance: dg.DagsterInstance, work: str, but: str = "") -> bool:
    """Whether the run that began a piece of work, and every re-execution that could go on with it, have ended.

    `but` is a re-execution that is known to do work of its own. An unknown run is not known to be over.
    """
    run = instance.get_run_by_id(work)
    if run is None:
        return False
    root = run.root_run_id or run.run_id
    group = [run, *instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": root}), limit=MOST_RE_EXECUTIONS)]
    if root != work and (first := instance.get_run_by_id(root)):
        group.append(first)
    return all(one.is_finished or one.run_id == but for one in group)


def make_plan(operation: Operation[Any, Any], desk: Desk, params: Any) -> Plan:
    """Observe and plan, now."""
    frame = PlanFrame(operation.name, desk.environment, desk.cluster_identity, params.model_dump(mode="json"))
    plan: Plan = operation.plan(desk.spec, operation.observe(desk, params), params, frame, desk.now())
    return plan


def plan_step(
    context: dg.OpExecutionContext, operation: Operation[Any, Any], factory: DeskFactory, plan_only_job: str, link: Callable[[Plan], str]
) -> Any:
    """Make the plan and show it. Refusals fail the step when the plan is to be applied."""
    config: Mapping[str, Any] = context.op_config
    applying = config["mode"] == "apply"
    with explained(context, operation):
        if applying:
            factory.check()
        if applying and operation.plan_required and not config["plan_id"] and not operation.plan_waived(factory.binding.spec):
            raise OperationFailed(
                f"{operation.name} is only applied by a plan that was read before; expected plan_id. "
                f"Launch {plan_only_job}, read its plan, and follow its link."
            )
        desk = desk_of(context, factory)
        if applying:
            _refuse_frozen(context, operation, desk)
        params = operation.params.model_validate(config["params"])
        planned = desk.now()
        plan = make_plan(operation, desk, params)
        if not applying:
            stored_plans.store(desk, plan, context.run_id)
    context.instance.add_run_tags(
        context.run_id,
        {
            **operation.tags,
            "gsv/operation": operation.name,
            "gsv/mode": config["mode"],
            "gsv/plan_id": plan.id,
            "gsv/environment": plan.environment,
        },
    )
    shown = report.plan_metadata(plan, "" if applying else link(plan))
    if not applying and (frozen := _frozen(operation, desk)):
        shown = {"frozen": dg.MetadataValue.text(frozen), **shown}
    context.add_output_metadata(shown)
    for refusal in plan.refused:
        context.log.warning(f"refused: {refusal.target}: {refusal.reason}")
    if applying:
        with explained(context, operation, plan, metadata=shown):
            if config["plan_id"]:
                stored_plans.require_same(desk, plan, config["plan_id"], plan_only_job)
            if plan.refused:
                raise OperationFailed("; ".join(f"{r.target}: {r.reason}" for r in plan.refused))
    else:
        context.log.info(
            f"plan {plan.id}: {len(plan.actions)} actions, {len(plan.kept)} kept, {len(plan.refused)} refused; nothing was changed"
        )
    # The work belongs to the run that planned it: re-executed from its failure a run goes on with it, re-executed whole it plans new work.
    return {**plan.to_json(), WORK: context.run_id, PLANNED: planned.isoformat()}


def apply_step(context: dg.OpExecutionContext, operation: Operation[Any, Any], factory: DeskFactory, plan_only_job: str, body: Any) -> Any:
    """Carry out the plan as it was shown, and take down what must not stay, whatever happens in between."""
    plan, journal = _opened(context, operation, factory, body)
    with explained(context, operation, plan, journal):
        factory.check()
        desk = replace(desk_of(context, factory, journal.root_run_id), keeps_undo=operation.keeps_undo)
        _sweep_bundles(desk)
        plan_id = context.op_config["plan_id"]
        stored_plans.require_made_here(desk, plan, plan_id)
        if "results" not in journal.notes:
            _refuse_frozen(context, operation, desk)
        waited = desk.now() - datetime.fromisoformat(body[PLANNED])
        fresh = waited <= timedelta(seconds=desk.spec.desk.plan_fresh_seconds)
        if not journal.begun and (plan_id or not fresh):
            now = make_plan(operation, desk, operation.params.model_validate(plan.params))
            if plan_id:
                stored_plans.require_same(desk, now, plan_id, plan_only_job)
            else:
                stored_plans.require_unmoved(plan, now, waited)
        release_ended_runs(operation, desk)
        results = journal.notes.get("results")
        # Here, and not in a step of its own: after a cancellation no later step runs.
        with _released(operation, desk, journal):
            if results is None:
                results = dict(operation.execute(desk, plan, journal))
                journal.note(results=results)
            else:
                desk.log(
                    "this run did its work before: nothing is done anew, its results are only judged again. "
                    "Launch a new run, or re-execute all of its steps, for new work."
                )
    return {"plan": body, "results": results}


def verify_step(
    context: dg.OpExecutionContext,
    operation: Operation[Any, Any],
    factory: DeskFactory,
    key: dg.AssetKey | None,
    own: Collection[str],
    body: Any,
) -> Iterator[Any]:
    """Ask the cluster whether it is really so; materialise the asset only if it is.

    `own`: the checks that are the step's outputs. Any other check of the verdict is one that is judged on a schedule of its own; it is told
    here too, so that it does not have to wait for that.
    """
    plan, journal = _opened(context, operation, factory, body["plan"])
    with explained(context, operation, plan, journal):
        factory.check()
        desk = desk_of(context, factory, journal.root_run_id)
        # executed again from here, this step may find itself on another cluster, and its verdict would be of that one
        stored_plans.require_made_here(desk, plan, "")
        verdict = operation.verify(desk, plan, body["results"])
        word = verdict.word or verdict.status
        context.instance.add_run_tags(context.run_id, {"gsv/verdict": word})
        where = write_evidence(
            context, desk.records, operation.name, plan, journal, verdict={"status": verdict.status, "word": word, "reason": verdict.reason}
        )
    look = operation.look(plan, journal.root_run_id, body["results"])
    facts = report.outcome_metadata(plan, journal, verdict, look, where)
    results = [report.check_result(check, key) for check in verdict.checks] if key else []
    tell: Callable[[Any], None] = context.log_event  # it takes evaluations, and its signature does not say so
    checks = [result for result in results if result.check_name in own]
    for result in results:
        if result not in checks:
            tell(report.evaluation(result))
    context.log.info(f"{operation.name}: {word}: {verdict.reason}")
    if verdict.status == "good":
        yield dg.MaterializeResult(asset_key=key, metadata=facts, check_results=checks) if key else dg.Output(None, metadata=facts)
        return
    yield from checks
    problem = OperationFailed(verdict.reason)
    raise dg.Failure(
        f"{word}: {verdict.reason}\n{four_lines(plan, journal, problem, operation.rerun)}", metadata=facts, allow_retries=False
    )


def release_ended_runs(operation: Operation[Any, Any], desk: Desk) -> None:
    """Take down what earlier runs of the operation left behind because they were killed."""
    if operation.release is nothing_to_release:
        return
    for journal in Journal.unreleased(desk.records, operation.name):
        if journal.root_run_id != desk.run_id and desk.is_over(journal.root_run_id):
            desk.log(f"run {journal.root_run_id} ended without taking down what it made; doing it now")
            operation.release(desk, journal)


def _sweep_bundles(desk: Desk) -> None:
    """Every apply of whatever operation removes the undo bundles that are past their time; some operation is applied every hour."""
    try:
        for path in desk.bundles.sweep(desk.now()) if desk.bundles else ():
            desk.log(f"the undo bundle {path} was past its time and is gone")
    except OSError as problem:
        desk.log(f"undo bundles that are past their time could not be removed: {problem}")


def _refuse_frozen(context: dg.OpExecutionContext, operation: Operation[Any, Any], desk: Desk) -> None:
    """Raise Frozen if a freeze stops the operation; the run list shows it by a tag."""
    try:
        freeze.require_not_frozen(desk, operation.name)
    except freeze.Frozen:
        context.instance.add_run_tags(context.run_id, {"gsv/refused": "frozen"})
        raise


def _frozen(operation: Operation[Any, Any], desk: Desk) -> str:
    """What a plan says of a freeze that would stop its being applied."""
    try:
        return freeze.why_stopped(desk.kube, desk.spec.desk.lease_namespace, operation.name, desk.now())
    except KubeError as problem:
        return f"unknown: {problem}"


@contextmanager
def _released(operation: Operation[Any, Any], desk: Desk, journal: Journal) -> Iterator[None]:
    """Take down what must not stay, whatever happens within; of two failures both are told, and a cancellation stays one."""
    try:
        yield
    except BaseException as problem:
        try:
            operation.release(desk, journal)
        except Exception as second:  # noqa: BLE001  told together with the first
            desk.log(f"what this run made could not be taken down: {second}")
            if isinstance(problem, Exception):
                command = getattr(second, "next_command", "") or getattr(problem, "next_command", "")
                raise OperationFailed(f"{said(problem)}\nAnd then: {said(second)}", command) from None
        raise
    operation.release(desk, journal)


def _opened(context: dg.OpExecutionContext, operation: Operation[Any, Any], factory: DeskFactory, body: Any) -> tuple[Plan, Journal]:
    with explained(context, operation):
        return Plan.from_json(body), Journal.open(factory.records, operation.name, body.get(WORK) or context.run_id)
