"""Every operation says how to look at what it did without the desk, and every asset is materialised by the spine that shows it."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest

import gsv_ops
from gsv_ops.definitions import defs
from gsv_ops.operations.operation import Operation
from gsv_ops.operations.plan import Action, Plan, Target

ONLY_READS = re.compile(r"kubectl (get|describe) [\w.,-]+( [\w./,=-]+)*")
RUN = "0a1b2c3d-0000-0000-0000-000000000000"


def operations() -> Iterator[Operation[Any, Any]]:
    """Every operation of every room."""
    found: dict[str, Operation[Any, Any]] = {}
    for module in pkgutil.walk_packages(gsv_ops.__path__, "gsv_ops."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Operation):
                found[value.name] = value
    yield from found.values()


OPERATIONS = list(operations())


def test_no_operation_is_missing() -> None:
    jobs = {str(job.tags.get("gsv/operation")) for job in defs.get_repository_def().get_all_jobs()} - {"None"}
    assert jobs == {operation.name for operation in OPERATIONS}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
def test_the_kubectl_lines_only_read(operation: Operation[Any, Any]) -> None:
    made = Action("create", Target("postgresql.cnpg.io/v1", "Cluster", "thing-{run}", "cmp"), "r")
    gone = Action("delete", Target("v1", "Pod", "old", "cmp", "u"), "r")
    plan = Plan(operation.name, "dev", "c-1", {}, actions=(made, gone), facts={"backup": "a-backup"})
    lines = list(operation.look(plan, RUN, {}))
    assert lines
    for line in lines:
        assert ONLY_READS.fullmatch(line), line
    assert "{run}" not in "".join(lines)


def test_every_asset_that_is_materialised_goes_through_the_three_steps() -> None:
    """So each has the summary, the table and the numbers that the spine puts there."""
    repository = defs.get_repository_def()
    made = [node for node in repository.asset_graph.asset_nodes if node.is_materializable]
    assert made
    for node in made:
        of = repository.assets_defs_by_key[node.key].node_def
        assert isinstance(of, dg.GraphDefinition), node.key
        assert {inner.name for inner in of.nodes} == {"plan", "apply", "verify"}, node.key
