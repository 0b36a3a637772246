"""Turns a report into Dagster: the checks of an observed asset, and a job that looks, observes the asset and evaluates them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.operations import launchpad, reporting
from gsv_ops.operations import report as shown
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.explained import EXPECTED, explained
from gsv_ops.operations.operation import Check
from gsv_ops.operations.reporting import Before, Found, LastRun, Report
from gsv_ops.operations.steps import desk_of

MOST_RUNS = 500
"""Of so many newest runs the last of each job is looked for."""


@dataclass(frozen=True)
class ReportJob:
    """What one report is in Dagster."""

    asset: dg.AssetSpec
    checks: dg.AssetChecksDefinition
    job: Any


def report_job(report: Report[Any], key: dg.AssetKey, *, group: str, kinds: set[str], description: str) -> ReportJob:
    """The report as an asset that is observed, its checks, and the job of the report's name.

    The checks are red, each with the reason, where the look failed; the run is then red too.
    """
    asset = dg.AssetSpec(key, group_name=group, kinds=kinds, owners=["team:platform"], description=description)

    @dg.multi_asset_check(
        name=f"{report.name}_look",
        description="Look, and tell what was found. Changes nothing.",
        specs=[dg.AssetCheckSpec(name, asset=key, description=said) for name, said in report.checks.items()],
        # with defaults, so that the button beside a check works too
        config_schema={
            "params": dg.Field(dict, default_value={}, description="What the job's configuration chose."),
            **{name: dg.Field(str, default_value="", description="A report has none.") for name in ("mode", "plan_id")},
        },
    )
    def look(context: dg.AssetCheckExecutionContext, desk: dg.ResourceParam[DeskFactory]) -> Iterator[dg.AssetCheckResult]:
        op = context.op_execution_context
        params = report.params.model_validate(op.op_config["params"])
        try:
            found = _look(op, report, desk, params)
        except Exception as problem:  # told below, with the four lines
            yield from (shown.check_result(check, key) for check in _unseen(report, problem))
            with explained(op, report):
                raise
        op.log_event(dg.AssetObservation(key, description=found.summary, metadata=shown.metadata(found.facts)))
        op.log.info(f"{report.name}: {found.summary}")
        yield from (shown.check_result(check, key) for check in found.checks)

    mapping = launchpad.mapping(report, report.name, {}, of_job=True, names=(look.op.name,))
    job = dg.define_asset_job(
        report.name,
        selection=dg.AssetSelection.checks(look),
        description=report.description,
        config=mapping,
        tags={"gsv/report": report.name, **report.tags},
    )
    return ReportJob(asset, look, job)


def last_runs(instance: dg.DagsterInstance, but: str) -> list[LastRun]:
    """The newest run of each job, by the job's name; of the latest runs only, `but` the one that asks."""
    newest: dict[str, LastRun] = {}
    for record in instance.get_run_records(limit=MOST_RUNS):
        run = record.dagster_run
        at = record.create_timestamp if record.create_timestamp.tzinfo else record.create_timestamp.replace(tzinfo=UTC)
        if run.run_id != but and not run.job_name.startswith("__"):
            newest.setdefault(run.job_name, LastRun(run.job_name, run.status.value, at, f"/runs/{run.run_id}"))
    return [newest[job] for job in sorted(newest)]


def _look(context: dg.OpExecutionContext, report: Report[Any], factory: DeskFactory, params: Any) -> Found:
    factory.check()
    desk = desk_of(context, factory)
    before = Before(reporting.left(desk.records, report.name, desk.cluster_identity), last_runs(context.instance, context.run_id))
    found: Found = report.look(desk, params, before)
    assert {check.name for check in found.checks} == set(report.checks), "a report judges each of its checks"
    if found.leaves is not None:
        reporting.leave(desk.records, report.name, desk.cluster_identity, {**found.leaves, "at": datetime.now(UTC).isoformat()})
    return found


def _unseen(report: Report[Any], problem: Exception) -> list[Check]:
    # of anything unexpected only the kind: its words may quote anything
    why = str(problem) if isinstance(problem, EXPECTED) else f"unexpected {type(problem).__name__}"
    return [Check(name, False, f"unknown: {why}") for name in report.checks]
