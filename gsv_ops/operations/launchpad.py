"""What an operator sees in the launchpad: an operation's own parameters, once for all of its steps, validated before a run exists."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import ValidationError, create_model

from gsv_ops.operations.operation import Configured


def mapping(
    operation: Configured,
    job: str,
    extra: Mapping[str, Any],
    fixed: Mapping[str, Any] | None = None,
    *,
    of_job: bool = False,
    names: Sequence[str] = ("plan", "apply"),
    mode: str = "apply",
) -> dg.ConfigMapping:
    """One configuration block for all steps, validated before a run exists. `mode` is the one where none can be chosen."""
    chosen_by_nobody = fixed or {}
    fields: dict[str, Any] = {
        name: (field.annotation, field) for name, field in operation.params.model_fields.items() if name not in chosen_by_nobody
    }
    fields |= extra

    def to_steps(values: Mapping[str, Any]) -> Mapping[str, Any]:
        chosen = dict(values)
        chosen_mode = chosen.pop("mode", mode)
        plan_id = chosen.pop("plan_id", "")
        try:
            params = operation.params.model_validate({**chosen, **chosen_by_nobody})
        except ValidationError as problem:
            lines = [f"{'.'.join(map(str, e['loc'])) or job}: {e['msg']}" for e in problem.errors(include_url=False, include_input=False)]
            raise _not_launched(job, lines, values) from None
        config = {"mode": chosen_mode, "plan_id": plan_id, "params": params.model_dump(mode="json")}
        steps_config = {name: {"config": config} for name in names}
        return {"ops": steps_config} if of_job else steps_config

    return dg.ConfigMapping(config_fn=to_steps, config_schema=_plain_fields(job, fields))


def _plain_fields(job: str, wanted: Mapping[str, Any]) -> dict[str, dg.Field]:
    """The fields, without the `{env: NAME}` that Dagster lets stand for any of them: the value would end up in plans and messages."""
    if not wanted:
        return {}
    fields: Mapping[str, dg.Field] = create_model(f"{job}_config", __base__=dg.Config, **wanted).to_fields_dict()
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


def _not_launched(job: str, problems: Sequence[str], values: Mapping[str, Any]) -> Exception:
    # of all exceptions only this one is shown in the launchpad with its message, and makes no run
    refusal: Callable[..., Exception] = dg.DagsterInvalidConfigError
    return refusal(f"{job} was not launched. " + "; ".join(problems), [], dict(values))
