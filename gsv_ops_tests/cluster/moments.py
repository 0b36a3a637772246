"""When in a run something is broken: each waits until a run of a backup or of a proof has come so far."""

from __future__ import annotations

from collections.abc import Callable

from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_SECONDS, PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

Moment = Callable[[ADesk, Outside, Run], None]
COPYING = ("started", "running")


def worker_begun(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The run's worker works, and has made nothing yet."""
    until(lambda: a_desk.processes(run), 60, "the worker", every=0.05)


def backup_asked(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Its Backup is there."""
    until(lambda: outside.names("backups", f"gsv-ops/run={run.run_id}"), 60, "the Backup", every=0.05)


def backup_copying(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The base backup is being taken."""

    def copying() -> bool:
        phases = [body.get("status", {}).get("phase") for body in outside.list("backups", f"gsv-ops/run={run.run_id}")]
        assert phases or not a_desk.refresh(run).ended, f"it ended as {run.status}: {run.failure}"
        assert "completed" not in phases, "it was over before anything could be broken"
        return any(phase in COPYING for phase in phases)

    until(copying, 60, "the base backup to be copied", every=0.02)


def backup_completed(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """It is completed; the run waits for its WAL, or reads the rows."""
    a_desk.wait_line(run, " is completed: id ", BACKUP_SECONDS)


def scratch_asked(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Its scratch cluster is there."""
    until(lambda: scratch_of(run) in outside.names("clusters"), 60, "the scratch cluster", every=0.05)


def scratch_has_a_volume(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Its scratch cluster has a volume's claim."""
    until(lambda: f"PersistentVolumeClaim/{scratch_of(run)}-1" in outside.everything_named(scratch_of(run)), 90, "the scratch volume")


def scratch_recovering(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The pod that recovers runs."""

    def recovering() -> bool:
        assert not a_desk.refresh(run).ended, f"it ended as {run.status}: {run.failure}"
        pods = outside.core.list_namespaced_pod("cmp", label_selector=f"cnpg.io/cluster={scratch_of(run)},cnpg.io/jobRole=full-recovery")
        return any(pod.status.phase == "Running" for pod in pods.items)

    until(recovering, 120, "the scratch cluster to recover", every=0.1)


def scratch_starting(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The restored database's own pod is there."""
    until(lambda: f"Pod/{scratch_of(run)}-1" in outside.everything_named(scratch_of(run)), 150, "the restored database's pod", every=0.1)


def scratch_read(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The restored database is ready; its rows are read."""
    a_desk.wait_line(run, " is ready: ", PROOF_SECONDS)


def scratch_going(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """The scratch cluster is being deleted."""

    def going() -> bool:
        assert not a_desk.refresh(run).ended, f"it ended as {run.status}: {run.failure}"
        found = [body for body in outside.list("clusters") if body["metadata"]["name"] == scratch_of(run)]
        return any(body["metadata"].get("deletionTimestamp") for body in found)

    until(going, PROOF_SECONDS, "the scratch cluster to be taken down", every=0.05)
