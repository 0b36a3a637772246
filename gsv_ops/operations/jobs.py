"""Turns an operation into Dagster: an op job with plan and apply, or a plan job beside an asset that is always applied.

Adding an operation never touches this file. The configuration an operator sees is the operation's own parameters, once, with
`mode` and `plan_id` where they apply; it is validated before a run exists.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field, ValidationError, create_model

from gsv_ops.operations import report, steps
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
    apply, verify = _apply_op(operation, operation.name), _verify_op(operation)

    @dg.graph(name=operation.name, description=operation.description)
    def graph() -> None:
        verify.alias("verify")(apply.alias("apply")(plan.alias("plan")()))

    mapping = _mapping(operation, {"mode": _mode(operation), "plan_id": _PLAN_ID}, of_job=True)
    return graph.to_job(name=operation.name, description=operation.description, config=mapping, tags=_tags(operation))


def operation_asset(
    operation: AnyOperation,
    key: dg.AssetKey,
    *,
    deps: Sequence[dg.AssetKey] = (),
    checks: Sequence[dg.AssetCheckSpec] = (),
    group: str,
    kinds: set[str],
    description: str,
) -> OperationAsset:
    """The operation as an asset with a job to materialise it, and as a job that only plans and never names the asset."""
    plan_name = f"plan_{operation.name}"
    node = key.to_python_identifier()
    link = _asset_link(operation.name, node)
    plan = _plan_op(operation, operation.name, plan_name, link, after=len(deps))
    apply, verify = _apply_op(operation, plan_name), _verify_op(operation, key, checks)
    ins = {f"after_{i}": dg.GraphIn() for i in range(len(deps))}
    outs = {"result": dg.GraphOut(), **{check.get_python_identifier(): dg.GraphOut() for check in checks}}

    def body(**after: Any) -> Any:
        out = verify.alias("verify")(apply.alias("apply")(plan.alias("plan")(**after)))
        return {name: getattr(out, name) for name in outs} if checks else out

    graph = dg.graph(
        name=node,
        description=description,
        config=_mapping(operation, {"plan_id": _PLAN_ID}),
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
    job = dg.define_asset_job(operation.name, selection=[key], description=operation.description, tags=_tags(operation))
    return OperationAsset(asset, job, _plan_only(operation, plan_name, link))


def _job_link(job: str) -> ApplyLink:
    return lambda plan: report.apply_url(job, {"mode": "apply", "plan_id": plan.id, **plan.params})


def _asset_link(job: str, node: str) -> ApplyLink:
    # an asset job shows its configuration under the asset's own node
    return lambda plan: report.apply_url(job, {"ops": {node: {"config": {"plan_id": plan.id, **plan.params}}}})


def _plan_only(operation: AnyOperation, name: str, link: ApplyLink) -> dg.JobDefinition:
    plan = _plan_op(operation, name, name, link)
    description = f"""
Shows what {operation.name} would do, as a table, with a link that applies exactly this plan.

**When to run:** before {operation.name}, to read its plan first.
**What it changes:** nothing.
**How to undo:** nothing to undo.
"""

    @dg.graph(name=name, description=description)
    def graph() -> None:
        plan.alias("plan")()

    mapping = _mapping(operation, {}, of_job=True, names=("plan",), mode="plan")
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


def _apply_op(operation: AnyOperation, plan_job: str) -> dg.OpDefinition:
    @dg.op(
        name=f"{operation.name}_apply",
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


def _verify_op(operation: AnyOperation, key: dg.AssetKey | None = None, checks: Sequence[dg.AssetCheckSpec] = ()) -> dg.OpDefinition:
    outs = {"result": dg.Out(dg.Nothing, is_required=False)}
    outs |= {check.get_python_identifier(): dg.Out(dg.Nothing, is_required=False) for check in checks}

    @dg.op(
        name=f"{operation.name}_verify",
        description="Ask the cluster whether it is really so.",
        ins={"applied": dg.In(dg.Any, input_manager_key="plan_store")},
        out=outs,
        required_resource_keys={"desk"},
    )
    def verify(context: dg.OpExecutionContext, applied: Any) -> Any:
        yield from steps.verify_step(context, operation, context.resources.desk, key, applied)

    return verify


def _mapping(
    operation: AnyOperation,
    extra: Mapping[str, Any],
    *,
    of_job: bool = False,
    names: Sequence[str] = ("plan", "apply"),
    mode: str = "apply",
) -> dg.ConfigMapping:
    """One configuration block for all steps, validated before a run exists. `mode` is the one where none can be chosen."""
    fields = {name: (field.annotation, field) for name, field in operation.params.model_fields.items()}
    schema = create_model(f"{operation.name}_config", __base__=dg.Config, **{**fields, **extra})

    def to_steps(values: Mapping[str, Any]) -> Mapping[str, Any]:
        chosen = dict(values)
        chosen_mode = chosen.pop("mode", mode)
        plan_id = chosen.pop("plan_id", "")
        try:
            params = operation.params.model_validate(chosen)
        except ValidationError as problem:
            lines = [
                f"{'.'.join(map(str, e['loc'])) or operation.name}: {e['msg']}"
                for e in problem.errors(include_url=False, include_input=False)
            ]
            raise _not_launched(operation, lines, values) from None
        config = {"mode": chosen_mode, "plan_id": plan_id, "params": params.model_dump(mode="json")}
        steps_config = {name: {"config": config} for name in names}
        return {"ops": steps_config} if of_job else steps_config

    return dg.ConfigMapping(config_fn=to_steps, config_schema=_plain_fields(schema))


def _mode(operation: AnyOperation) -> tuple[Any, Any]:
    said = "plan: show what would be done and change nothing. apply: do it."
    return Mode, Field(default=operation.default_mode, description=said)


def _plain_fields(schema: type[dg.Config]) -> dict[str, dg.Field]:
    """The fields, without the `{env: NAME}` that Dagster lets stand for any of them: the value would end up in plans and messages."""
    fields: Mapping[str, dg.Field] = schema.to_fields_dict()
    return {
        name: dg.Field(
            _plain(field.config_type),
            description=field.description,
            is_required=field.is_required,
            **({"default_value": field.default_value} if field.default_provided else {}),
        )
        for name, field in fields.items()
    }


def _plain(kind: Any) -> Any:
    for source, plain in ((dg.StringSource, dg.String), (dg.IntSource, dg.Int), (dg.BoolSource, dg.Bool)):
        if kind is source:
            return plain
    if isinstance(kind, dg.Noneable):
        return dg.Noneable(_plain(kind.inner_type))
    return dg.Array(_plain(kind.inner_type)) if isinstance(kind, dg.Array) else kind


def _not_launched(operation: AnyOperation, problems: Sequence[str], values: Mapping[str, Any]) -> Exception:
    # of all exceptions only this one is shown in the launchpad with its message, and makes no run
    refusal: Callable[..., Exception] = dg.DagsterInvalidConfigError
    return refusal(f"{operation.name} was not launched. " + "; ".join(problems), [], dict(values))


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
