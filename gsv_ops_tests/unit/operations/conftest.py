"""What the tests of the spine run on: the toy in this process, and every implementation of Kube for what writes to one."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.operations.records import Records
from gsv_ops_tests.contract.conftest import admin, clock, cluster, kube, namespace, pytest_generate_tests  # noqa: F401  shared
from gsv_ops_tests.unit.operations import toy

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(UPath(tmp_path) / "records")


@dataclass
class Ran:
    """One run as Dagster tells of it."""

    run_id: str
    success: bool
    events: list[dg.DagsterEvent]

    @property
    def failure(self) -> str:
        """The message of the failed step."""
        told = [e.step_failure_data for e in self.events if e.event_type_value == "STEP_FAILURE"]
        assert len(told) == 1, f"{len(told)} failed steps"
        assert told[0].user_failure_data is not None, told[0].error
        assert told[0].error is not None
        assert told[0].error.cause is None, "the client's exception went along"
        assert told[0].error.context is None, "the client's exception went along"
        return str(told[0].user_failure_data.description)

    @property
    def failed_step(self) -> str:
        return next(str(e.step_key) for e in self.events if e.event_type_value == "STEP_FAILURE")

    def of(self, kind: str) -> list[Any]:
        return [e.event_specific_data for e in self.events if e.event_type_value == kind]

    def metadata(self, step: str) -> dict[str, Any]:
        """What the step's output showed."""
        data = next(e.event_specific_data for e in self.events if e.event_type_value == "STEP_OUTPUT" and e.step_key == step)
        return {name: value.value for name, value in data.metadata.items()}


@dataclass
class Toys:
    """Runs the toy's jobs, and looks at what they left."""

    instance: dg.DagsterInstance
    root: Path

    def run(self, job: Callable[[], dg.JobDefinition], **config: Any) -> Ran:
        """A job from its launchpad's configuration."""
        result = job().execute_in_process(instance=self.instance, run_config=config, raise_on_error=False)
        return Ran(result.run_id, result.success, list(result.all_events))

    def plan(self, **config: Any) -> str:
        """The id of a plan that was shown."""
        ran = self.run(toy.make_thing, mode="plan", **config)
        assert ran.success
        return str(ran.metadata("plan")["plan"])

    def evidence(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_text()) for path in sorted(self.root.glob("evidence/*/*.json"))]

    def log(self, run_id: str) -> str:
        """Everything the run said in its log."""
        return "\n".join(str(e.user_message) for e in self.instance.all_logs(run_id))


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toys]:
    """The toy in a new world, in an environment that is bound to the cluster it reaches."""
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", toy.HERE)
    toy.begin(UPath(tmp_path) / "records")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Toys(instance, tmp_path / "records")
