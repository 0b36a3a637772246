"""A desk of the tests' own, with a platform.yaml, records and a Dagster of its own, spoken to as an operator's browser does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from gsv_sandbox import desk, runs
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.outside import until

BACKUP_NODE = "database__cmp_postgres__backup"
PROOF_NODE = "database__cmp_postgres__proof"
BACKUP_ASSET = "database/cmp_postgres/backup"
PROOF_ASSET = "database/cmp_postgres/proof"
BACKUP_SECONDS = 180
PROOF_SECONDS = 240

PROCESSES = """
query Processes($runId: ID!, $after: String) {
  logsForRun(runId: $runId, afterCursor: $after, limit: 200) {
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on MessageEvent { message }
        ... on DisplayableEvent { metadataEntries { label ... on TextMetadataEntry { text } ... on IntMetadataEntry { intRepr } } }
      }
    }
  }
}
"""

BY_TAG = """
query ByTag($tag: String!) {
  runsOrError(filter: {tags: [{key: "test/run", value: $tag}]}) { ... on Runs { results { runId } } }
}
"""


@dataclass(frozen=True)
class ADesk:
    """One desk: the environment its processes were started with, and where it keeps everything."""

    environment: Mapping[str, str]
    home: Path

    @property
    def evidence(self) -> Path:
        """Where its records lie."""
        return self.home / "dagster" / "evidence"

    def launch(self, job: str, config: Mapping[str, Any] | None = None) -> Run:
        """A new run, on its way."""
        return runs.launch(job, config, self.environment)

    def run(self, job: str, config: Mapping[str, Any] | None = None, seconds: float = BACKUP_SECONDS) -> Run:
        """A run that has ended, as whatever."""
        return self.follow(self.launch(job, config), seconds)

    def follow(self, run: Run, seconds: float = BACKUP_SECONDS) -> Run:
        """The run once it has ended."""
        return runs.follow(run, seconds, environment=self.environment)

    def refresh(self, run: Run) -> Run:
        """The run as it stands."""
        return runs.refresh(run, environment=self.environment)

    def wait_line(self, run: Run, part: str, seconds: float) -> str:
        """The first of its log lines that has this in it. Raises AssertionError if it ends without."""

        def found() -> str:
            self.refresh(run)
            line = next((line for line in run.lines if part in line), "")
            assert line or not run.ended, f"the run ended as {run.status} before it said {part!r}: {run.failure}"
            return line

        line: str = until(found, seconds, f"run {run.run_id} to say {part!r}")
        return line

    def backup(self, database: str = "cmp_postgres", **config: str) -> Run:
        """A backup of that database that has ended, by the job of its own."""
        job = "backup_database" if database == "cmp_postgres" else f"backup_database_{database}"
        return self.run(job, asset_config(f"database__{database}__backup", config), BACKUP_SECONDS)

    def proof(self, **config: str | bool) -> Run:
        """A prove_backup that is on its way."""
        return self.launch("prove_backup", asset_config(PROOF_NODE, config))

    def cancel(self, run: Run) -> None:
        """What the button in the UI does."""
        runs.cancel(run.run_id, self.environment)

    def again(self, run: Run) -> Run:
        """Re-execution from failure."""
        return runs.again(run.run_id, self.environment)

    def command_line(self, job: str, **changed: str) -> Run:
        """A run started from a shell, under the desk's environment but for what is changed; ended."""
        mark = uuid4().hex
        binary = str(Path(sys.executable).with_name("dagster"))
        command = [binary, "job", "execute", "-m", "gsv_ops.definitions", "-j", job, "--tags", json.dumps({"test/run": mark})]
        environment = {**self.environment, "DAGSTER_HOME": str(self.home / "dagster"), **changed}
        subprocess.run(command, env=environment, cwd=desk.PROJECT, capture_output=True, timeout=BACKUP_SECONDS, check=False)
        found = desk.ask(BY_TAG, {"tag": mark}, self.environment)["runsOrError"]["results"]
        assert len(found) == 1, f"`{' '.join(command)}` made no run"
        return self.refresh(Run(found[0]["runId"]))

    def processes(self, run: Run) -> set[int]:
        """The living processes of a run: its worker's, and those of the step that is going on."""
        found, cursor, more = set[int](), None, True
        while more:
            logs = desk.ask(PROCESSES, {"runId": run.run_id, "after": cursor}, self.environment)["logsForRun"]
            cursor, more = logs["cursor"], logs["hasMore"]
            for event in logs["events"]:
                said = [
                    entry.get("text") or entry.get("intRepr") or ""
                    for entry in event.get("metadataEntries") or []
                    if entry["label"] == "pid"
                ]
                found |= {int(pid) for pid in (*said, *re.findall(r"\(pid: (\d+)\)", event.get("message", "")))}
        return {pid for pid in found if Path(f"/proc/{pid}").exists()}

    def kill(self, run: Run) -> None:
        """End the run's processes as the kernel's out-of-memory killer would, all in one moment."""
        pids = self.processes(run)
        assert pids, f"run {run.run_id} has no process"
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                os.kill(pid, number)

    def pause(self, run: Run, number: int = signal.SIGSTOP) -> None:
        """Let the run's processes stand still, as those of a virtual machine that is being moved."""
        for pid in self.processes(run):
            os.kill(pid, number)

    def resume(self, run: Run) -> None:
        """Let them go on."""
        self.pause(run, signal.SIGCONT)


def asset_config(node: str, config: Mapping[str, str | bool]) -> dict[str, Any]:
    """Configuration of an asset's job as the launchpad writes it."""
    return {"ops": {node: {"config": dict(config)}}}


def short(run: Run) -> str:
    """What a run puts into the names of what it makes."""
    return run.run_id.replace("-", "")[:8]
