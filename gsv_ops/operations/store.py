"""Carries plans and results from step to step as JSON records, so that a re-executed run finds them and an operator can read them."""

from __future__ import annotations

from typing import Any

import dagster as dg

from gsv_ops.operations.desk import DeskFactory

STEPS = "steps"


class PlanStore(dg.IOManager):
    """Dagster's IO manager over the desk's records: `steps/<run>/<step>/<output>.json`, never a pickle."""

    def __init__(self, factory: DeskFactory) -> None:
        self._factory = factory

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:
        """Write the step's output."""
        if obj is not None:
            self._factory.records.write(_name(context), obj)

    def load_input(self, context: dg.InputContext) -> Any:
        """Read the output of the step upstream, also of the run that this one re-executes."""
        assert context.upstream_output is not None
        name = _name(context.upstream_output)
        body = self._factory.records.read(name)
        if body is None:
            raise dg.Failure(f"the record {self._factory.records.path(name)} of an earlier step is gone; launch the job anew")
        return body


def _name(context: dg.OutputContext) -> str:
    return "/".join((STEPS, *context.get_identifier()))
