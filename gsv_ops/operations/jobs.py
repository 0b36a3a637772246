"""Turns an operation into Dagster: an op job with plan and apply, or a plan job beside an asset that is always applied.

Adding an operation never touches this file. The configuration an operator sees is the operation's own parameters, once, with
`mode` and `plan_id` where they apply; it is validated before a run exists.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from gsv_ops.operations import launchpad, report, steps
from gsv_ops.operations.operation import Mode, Operation
from gsv_ops.operations.plan import Plan

AnyOperation = Operation[Any, Any]
ApplyLink = Callable[[Plan], str]

_STEP_CONFIG = {"mode": str, "plan_id": str, "params": dict}
_PLAN_ID = (
    str,
    Field(default="", description="Apply exactly this plan, and nothing if the cluster has moved on. Empty: plan and apply now."),
)


@dataclass(frozen=True)
class OperationAsset:
    """What one asset-producing operation is in Dagster: the asset, the job that materialises it, the job that only plans."""

    asset: dg.AssetsDefinition
    job: Any
    plan_job: dg.JobDefinition


def operation_job(operation: AnyOperation) -> dg.JobDefinition:
    """The operation as an op job: `mode: plan` shows the plan and stops, `mode: apply` carries it out."""
    plan = _plan_op(operation, operation.name, operation.name, _job_link(operation.name))
    apply, verify = _apply_op(operation, operation.name, operation.name), _verify_op(operation, operation.name)

    @dg.graph(name=operation.name, description=operation.description)
    def graph() -> None:
        verify.alias("verify")(apply.alias("apply")(plan.alias("plan")()))

    mapping = launchpad.mapping(operation, operation.name, {"mode": _mode(operation), "plan_id": _PLAN_ID}, of_job=True)
    return graph.to_job(name=operation.name, description=operation.description, config=mapping, tags=_tags(operation))


def operation_asset(
    operation: AnyOperation,
    key: dg.AssetKey,
    *,
    name: str = "",
    fixed: Mapping[str, Any] | None = None,
    deps: Sequence[dg.AssetKey] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
    group: str,
    kinds: set[str],
    description: str,
) -> OperationAsset:
    """The operation as an asset with a job to materialise it, and as a job that only plans and never names the asset.

    `name`: of the job, where one operation has several assets. `fixed`: the parameters that make this asset what it is; nobody can
    choose them, so that no run materialises this asset with what belongs to another.
    """
    name, fixed = name or operation.name, fixed or {}
    plan_name = f"plan_{name}"
    node = key.to_python_identifier()
    link = _asset_link(name, node, fixed)
    plan = _plan_op(operation, name, plan_name, link, after=len(deps))
    apply, verify = _apply_op(operation, name, plan_name), _verify_op(operation, name, key, checks)
    ins = {f"after_{i}": dg.GraphIn() for i in range(len(deps))}
    outs = {"result": dg.GraphOut(), **{check.get_python_identifier(): dg.GraphOut() for check in checks}}

    def body(**after: Any) -> Any:
        out = verify.alias("verify")(apply.alias("apply")(plan.alias("plan")(**after)))
        return {name: getattr(out, name) for name in outs} if checks else out

    graph = dg.graph(
        name=node,
        description=description,
        config=launchpad.mapping(operation, name, {"plan_id": _PLAN_ID}, fixed),
        ins=ins,
        out=outs if checks else dg.GraphOut(),
    )(_with_arguments(body, list(ins)))
    asset = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name={f"after_{i}": dep for i, dep in enumerate(deps)},
        keys_by_output_name={"result": key},
        group_name=group,
        check_specs=checks,
        descriptions_by_output_name={"result": description},
    ).map_asset_specs(lambda spec: spec.replace_attributes(kinds=kinds, owners=["team:platform"]))
    job = dg.define_asset_job(name, selection=[key], description=operation.description, tags=_tags(operation))
    return OperationAsset(asset, job, _plan_only(operation, name, plan_name, link, fixed))


def _job_link(job: str) -> ApplyLink:
    return lambda plan: report.apply_url(job, {"mode": "apply", "plan_id": plan.id, **plan.params})


def _asset_link(job: str, node: str, fixed: Mapping[str, Any]) -> ApplyLink:
    def link(plan: Plan) -> str:
        chosen = {field: value for field, value in plan.params.items() if field not in fixed}
        # an asset job shows its configuration under the asset's own node
        return report.apply_url(job, {"ops": {node: {"config": {"plan_id": plan.id, **chosen}}}})

    return link


def _plan_only(operation: AnyOperation, job: str, name: str, link: ApplyLink, fixed: Mapping[str, Any]) -> dg.JobDefinition:
    plan = _plan_op(operation, name, name, link)
    description = f"""
Shows what {job} would do, as a table, with a link that applies exactly this plan.

**When to run:** before {job}, to read its plan first.
**What it changes:** nothing.
**How to undo:** nothing to undo.
"""

    @dg.graph(name=name, description=description)
    def graph() -> None:
        plan.alias("plan")()

    mapping = launchpad.mapping(operation, name, {}, fixed, of_job=True, names=("plan",), mode="plan")
    return graph.to_job(name=name, description=description, config=mapping, tags=_tags(operation))


def _plan_op(operation: AnyOperation, of: str, plan_job: str, link: ApplyLink, after: int = 0) -> dg.OpDefinition:
    @dg.op(
        name=f"{of}_plan",
        description="Look at the cluster and work out what would be done. Changes nothing.",
        config_schema=_STEP_CONFIG,
        ins={f"after_{i}": dg.In(dg.Nothing) for i in range(after)},
        out=dg.Out(dg.Any, io_manager_key="plan_store", is_required=True),
        required_resource_keys={"desk"},
    )
    def plan(context: dg.OpExecutionContext) -> Any:
        return steps.plan_step(context, operation, context.resources.desk, plan_job, link)

    return plan


def _apply_op(operation: AnyOperation, of: str, plan_job: str) -> dg.OpDefinition:
    @dg.op(
        name=f"{of}_apply",
        description="Carry out the plan as it was shown, each write guarded.",
        config_schema=_STEP_CONFIG,
        ins={"plan": dg.In(dg.Any, input_manager_key="plan_store")},
        out=dg.Out(dg.Any, io_manager_key="plan_store", is_required=False),
        required_resource_keys={"desk"},
        pool=operation.pool,
    )
    def apply(context: dg.OpExecutionContext, plan: Any) -> Any:
        if context.op_config["mode"] == "apply":
            yield dg.Output(steps.apply_step(context, operation, context.resources.desk, plan_job, plan))

    return apply


def _verify_op(
    operation: AnyOperation, of: str, key: dg.AssetKey | None = None, checks: Sequence[dg.AssetCheckSpec] = ()
) -> dg.OpDefinition:
    outs = {"result": dg.Out(dg.Nothing, is_required=False)}
    outs |= {check.get_python_identifier(): dg.Out(dg.Nothing, is_required=False) for check in checks}

    @dg.op(
        name=f"{of}_verify",
        description="Ask the cluster whether it is really so.",
        ins={"applied": dg.In(dg.Any, input_manager_key="plan_store")},
        out=outs,
        required_resource_keys={"desk"},
    )
    def verify(context: dg.OpExecutionContext, applied: Any) -> Any:
        yield from steps.verify_step(context, operation, context.resources.desk, key, {check.name for check in checks}, applied)

    return verify


def _mode(operation: AnyOperation) -> tuple[Any, Any]:
    said = "plan: show what would be done and change nothing. apply: do it."
    return Mode, Field(default=operation.default_mode, description=said)


def _with_arguments(body: Callable[..., Any], names: Sequence[str]) -> Callable[..., Any]:
    """`body` under a signature that names its arguments, as Dagster reads a graph's inputs from it."""

    def composed(*args: Any, **kwargs: Any) -> Any:
        return body(**dict(zip(names, args, strict=False)), **kwargs)

    composed.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    )
    return composed


def _tags(operation: AnyOperation) -> dict[str, str]:
    return {"gsv/operation": operation.name, **operation.tags}
