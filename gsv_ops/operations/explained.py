"""Whatever goes wrong in a step: told with its cause and the four lines, kept as evidence, and free of any client library's exception."""

import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg

from gsv_ops.kube.errors import KubeError
from gsv_ops.operations.ending import four_lines
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed, Rerunnable
from gsv_ops.operations.plan import Plan
from gsv_ops.operations.records import DamagedRecord
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import InvalidSpec

EVIDENCE = "evidence"
EXPECTED = (KubeError, OperationFailed, WrongCluster, InvalidSpec, DamagedRecord)
"""Failures that carry their own explanation; anything else is a defect and is shown with where it came from."""


@contextmanager
def explained(
    context: dg.OpExecutionContext,
    operation: Rerunnable,
    plan: Plan | None = None,
    journal: Journal | None = None,
    metadata: Mapping[str, dg.MetadataValue[Any]] | None = None,
) -> Iterator[None]:
    """Turn whatever goes wrong inside into a failed step that says why and ends with the four lines; evidence is kept of it.

    A cancellation goes on as one; its four lines stand in the log.
    """
    try:
        yield
    except dg.DagsterExecutionInterruptedError as problem:
        context.log.error(f"cancelled\n{four_lines(plan, journal, problem, operation.rerun)}")
        if journal is not None:
            _keep_evidence(context, operation, plan, journal, {"status": "cancelled", "reason": "the run was cancelled"})
        raise
    except Exception as problem:  # noqa: BLE001  nothing of a client library's exception may reach the event log
        cause = said(problem)
        if not isinstance(problem, EXPECTED):
            context.log.error("".join(traceback.format_tb(problem.__traceback__)))
        ending = four_lines(plan, journal, problem, operation.rerun)
        if journal is not None:
            _keep_evidence(context, operation, plan, journal, {"status": "failed", "reason": cause})
        raise dg.Failure(f"{cause}\n{ending}", metadata=dict(metadata or {}), allow_retries=False) from None


def write_evidence(
    context: dg.OpExecutionContext, records: Any, operation: str, plan: Plan | None, journal: Journal, verdict: Mapping[str, Any]
) -> str:
    """One record per run and operation: who, which plan, what became of it, the verdict. Returns where it lies."""
    run = context.instance.get_run_by_id(context.run_id)
    at = datetime.now().astimezone()
    tags = dict(run.tags) if run else {}
    record = {
        "operation": operation,
        "run_id": context.run_id,
        "root_run_id": journal.root_run_id,
        "job": context.job_name,
        "launched_by": next(
            (f"{k}={tags[k]}" for k in ("gsv/user", "dagster/schedule_name", "dagster/sensor_name") if k in tags), "launchpad or API"
        ),
        "at": at.isoformat(),
        "plan": plan.to_json() if plan else None,
        "outcomes": [vars(outcome) for outcome in journal.outcomes],
        "results": journal.notes.get("results"),
        "undo bundles": journal.notes.get("bundles", []),
        "verdict": verdict,
    }
    return str(records.write(f"{EVIDENCE}/{at:%Y-%m-%d}/{context.run_id}-{operation}", record))


def _keep_evidence(
    context: dg.OpExecutionContext, operation: Rerunnable, plan: Plan | None, journal: Journal, verdict: Mapping[str, Any]
) -> None:
    """Write the evidence of a failure; that it could not be written must not hide the failure."""
    try:
        write_evidence(context, journal.records, operation.name, plan, journal, verdict=verdict)
    except Exception as problem:  # noqa: BLE001
        context.log.error(f"the evidence of this failure could not be written: {type(problem).__name__}: {problem}")


def said(problem: Exception) -> str:
    """What a failure says of itself; a defect says what it is."""
    return str(problem) if isinstance(problem, EXPECTED) else f"unexpected {type(problem).__name__}: {problem}"
