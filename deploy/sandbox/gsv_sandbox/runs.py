"""Launches jobs as a user would, through the webserver's GraphQL, and follows them to their end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gsv_sandbox.desk import ask
from gsv_sandbox.errors import SandboxError

LOCATION = "gsv_ops"
REPOSITORY = "__repository__"
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
POLL_SECONDS = 1.0

LAUNCH = """
mutation Launch($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PythonError { message }
    ... on InvalidSubsetError { message }
    ... on PipelineNotFoundError { message }
  }
}
"""
FOLLOW = """
query Follow($runId: ID!, $after: String) {
  runOrError(runId: $runId) { __typename ... on Run { status tags { key value } } }
  logsForRun(runId: $runId, afterCursor: $after, limit: 200) {
    __typename
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on MessageEvent { message stepKey level timestamp }
        ... on ExecutionStepFailureEvent { error { message } failureMetadata { description } }
        ... on MaterializationEvent { assetKey { path } metadataEntries { ...Entry } }
        ... on ObservationEvent { assetKey { path } metadataEntries { ...Entry } }
        ... on AssetCheckEvaluationEvent { evaluation { checkName success description severity metadataEntries { ...Entry } } }
        ... on ExecutionStepOutputEvent { outputName metadataEntries { ...Entry } }
      }
    }
  }
}
fragment Entry on MetadataEntry {
  label
  ... on TextMetadataEntry { text }
  ... on IntMetadataEntry { intValue intRepr }
  ... on FloatMetadataEntry { floatValue }
  ... on UrlMetadataEntry { url }
  ... on PathMetadataEntry { path }
  ... on MarkdownMetadataEntry { mdStr }
  ... on TableMetadataEntry { table { records } }
}
"""
TERMINATE = """
mutation Terminate($runId: String!) {
  terminateRun(runId: $runId) { __typename ... on PythonError { message } ... on TerminateRunFailure { message } }
}
"""
RE_EXECUTE = """
mutation Again($parent: String!) {
  launchRunReexecution(reexecutionParams: {parentRunId: $parent, strategy: FROM_FAILURE}) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""


class NotLaunched(SandboxError):
    """The launch was refused before a run existed; the message is what the launchpad would show."""


@dataclass
class Run:
    """One run as it stands: its status, its log lines, and what it reported."""

    run_id: str
    status: str = "NOT_STARTED"
    lines: list[str] = field(default_factory=list)
    materialized: dict[str, dict[str, Any]] = field(default_factory=dict)
    observed: dict[str, dict[str, Any]] = field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = field(default_factory=dict)
    outputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    cursor: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more will come."""
        return self.status in ENDED

    @property
    def failure(self) -> str:
        """What the failed steps said, one after the other."""
        return "\n".join(self.failures)


def launch(job: str, config: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ) -> Run:
    """A new run of the job. Raises NotLaunched for a config that the launchpad would refuse."""
    selector = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "pipelineName": job}
    parameters = {"selector": selector, "runConfigData": dict(config or {}), "mode": "default"}
    return Run(_launched(ask(LAUNCH, {"executionParams": parameters}, environment)["launchPipelineExecution"], f"job {job}"))


def again(run_id: str, environment: Mapping[str, str] = os.environ) -> Run:
    """A re-execution of the run from where it failed."""
    return Run(_launched(ask(RE_EXECUTE, {"parent": run_id}, environment)["launchRunReexecution"], f"run {run_id} again"))


def cancel(run_id: str, environment: Mapping[str, str] = os.environ) -> None:
    """Ask the run to end; it takes down what it made."""
    answer = ask(TERMINATE, {"runId": run_id}, environment)["terminateRun"]
    if answer["__typename"] != "TerminateRunSuccess":
        raise SandboxError(f"run {run_id} was not cancelled: {answer.get('message', answer['__typename'])}", "it may have ended already")


def follow(run: Run, seconds: float, tell: Callable[[str], None] = lambda _: None, environment: Mapping[str, str] = os.environ) -> Run:
    """The run once it has ended, each of its own log lines told as it comes. Raises SandboxError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not refresh(run, tell, environment).ended:
        if time.monotonic() > deadline:
            raise SandboxError(f"run {run.run_id} has not ended after {seconds:.0f} s; it is {run.status}", "look at it in the UI")
        time.sleep(POLL_SECONDS)
    return refresh(run, tell, environment)


def refresh(run: Run, tell: Callable[[str], None] = lambda _: None, environment: Mapping[str, str] = os.environ) -> Run:
    """Read what is new of the run."""
    more = True
    while more:
        data = ask(FOLLOW, {"runId": run.run_id, "after": run.cursor}, environment)
        if data["runOrError"]["__typename"] != "Run":
            raise SandboxError(f"there is no run {run.run_id}", "was it deleted?")
        run.status = data["runOrError"]["status"]
        run.tags = {tag["key"]: tag["value"] for tag in data["runOrError"]["tags"]}
        logs = data["logsForRun"]
        run.cursor, more = logs["cursor"], logs["hasMore"]
        for event in logs["events"]:
            _take(run, event, tell)
    return run


def _take(run: Run, event: Mapping[str, Any], tell: Callable[[str], None]) -> None:
    match event["__typename"]:
        case "LogMessageEvent":
            run.lines.append(event["message"])
            tell(event["message"])
        case "EngineEvent" if "blocked by limit" in event["message"]:
            tell(event["message"])  # another run holds the pool: say what this one waits for
        case "ExecutionStepFailureEvent":
            said = (event.get("failureMetadata") or {}).get("description") or (event.get("error") or {}).get("message") or event["message"]
            run.failures.append(said)
        case "MaterializationEvent":
            run.materialized["/".join(event["assetKey"]["path"])] = _entries(event["metadataEntries"])
        case "ObservationEvent":
            run.observed["/".join(event["assetKey"]["path"])] = _entries(event["metadataEntries"])
        case "AssetCheckEvaluationEvent":
            evaluation = event["evaluation"]
            run.checks[evaluation["checkName"]] = {**evaluation, "metadata": _entries(evaluation["metadataEntries"])}
        case "ExecutionStepOutputEvent":
            run.outputs[event["stepKey"]] = _entries(event["metadataEntries"])
        case "RunFailureEvent":
            run.lines.append(event["message"])


def _entries(entries: list[dict[str, Any]]) -> dict[str, Any]:
    found = {}
    for entry in entries:
        if "intRepr" in entry:
            value: Any = int(entry["intRepr"])
        elif "table" in entry:
            import json

            value = [json.loads(record) for record in entry["table"]["records"]]
        else:
            value = next((v for k, v in entry.items() if k not in ("label", "__typename")), None)
        found[entry["label"]] = value
    return found


def _launched(answer: Mapping[str, Any], what: str) -> str:
    if answer["__typename"] == "LaunchRunSuccess":
        return str(answer["run"]["runId"])
    said = "; ".join(error["message"] for error in answer.get("errors", [])) or answer.get("message", answer["__typename"])
    raise NotLaunched(f"{what} was not launched: {said}", "mend the config and launch it again")
