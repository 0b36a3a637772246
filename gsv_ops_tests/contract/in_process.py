"""A desk whose jobs run in the test's own process, against whichever Kube the test is given."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.kube import objects, resources
from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.store import PlanStore


class DeskHere:
    """Runs jobs as the launchpad would, and reads what they told."""

    def __init__(self, kube: Kube, root: Path, instance: dg.DagsterInstance) -> None:
        self.kube, self.root, self.instance = kube, root, instance

    def run(self, job: dg.JobDefinition, kube: Kube | None = None, **config: Any) -> dg.ExecuteInProcessResult:
        """A run; `kube` stands in the cluster's place for it."""
        factory = DeskFactory(kube or self.kube, UPath(self.root / "evidence"))
        resources = {"desk": factory, "plan_store": PlanStore(factory)}
        return job.execute_in_process(config, instance=self.instance, raise_on_error=False, resources=resources)

    def plan(self, job: dg.JobDefinition, **config: Any) -> str:
        """The id of a plan that was shown."""
        ran = self.run(job, mode="plan", **config)
        assert ran.success
        (shown,) = [e for e in ran.all_node_events if e.event_type_value == "STEP_OUTPUT" and e.step_key == "plan"]
        return str(shown.event_specific_data.metadata["plan"].value)  # type: ignore[union-attr]

    def shown(self, ran: dg.ExecuteInProcessResult, step: str = "plan") -> dict[str, Any]:
        """What the step's output showed; of a table its rows."""
        (output,) = [e for e in ran.all_node_events if e.event_type_value == "STEP_OUTPUT" and e.step_key == step]
        values = output.event_specific_data.metadata.items()  # type: ignore[union-attr]
        return {
            name: [dict(row.data) for row in value.records] if isinstance(value, dg.TableMetadataValue) else value.value
            for name, value in values
        }

    def apply(self, job: dg.JobDefinition, **config: Any) -> str:
        """Plan, then apply exactly that plan; returns the run's id."""
        ran = self.run(job, mode="apply", plan_id=self.plan(job, **config), **config)
        assert ran.success, self.failure(ran)
        return ran.run_id

    def failure(self, ran: dg.ExecuteInProcessResult) -> str:
        """What the failed step said."""
        (event,) = [e for e in ran.all_events if e.is_step_failure]
        assert event.step_failure_data.user_failure_data is not None, event.step_failure_data.error
        return str(event.step_failure_data.user_failure_data.description)

    def everything_told(self) -> str:
        """All logs and metadata of all runs, and every record they left, as one text."""
        logs = [str(entry) for run in self.instance.get_runs() for entry in self.instance.all_logs(run.run_id)]
        return "\n".join([*logs, *(path.read_text() for path in (self.root / "evidence").rglob("*.json"))])

    def bundles(self) -> list[Path]:
        return sorted((self.root / "undo").glob("*.yaml"))


@contextmanager
def desk_here(kube: Kube, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    """A desk of the sandbox's environment."""
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", objects.uid(kube.get(resources.NAMESPACE, "kube-system")))
    monkeypatch.delenv("GSV_UNDO_ROOT", raising=False)
    with dg.DagsterInstance.ephemeral() as instance:
        yield DeskHere(kube, root, instance)
