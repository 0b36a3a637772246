"""Notices when a run's process is gone, on a desk whose runs are plain processes of one machine.

Dagster's own launcher for that case cannot tell: after a crash of the machine or of the desk such a run stays "started" for ever and keeps
its pool's slot, so that the next proof waits for it. With this launcher the daemon's run monitoring marks it failed and frees the slot.
"""

from __future__ import annotations

import dagster as dg
import psutil
from dagster._core.launcher import CheckRunHealthResult, WorkerStatus

WORKER = "--multiprocessing-fork"
"""An argument of every process in which the code server executes a run."""


class LocalRunLauncher(dg.DefaultRunLauncher):
    """Dagster's default launcher, which also knows whether the worker of a run still lives."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring asks only launchers that say so."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """RUNNING while the process that said it executes the run's steps lives; NOT_FOUND once it does not."""
        found = _worker(self._instance, run.run_id)
        if found is None:
            # It has started and not yet said in which process: the time limit for starting covers a death in between.
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        pid, said_at = found
        if _lives(pid, said_at):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"its process {pid} is gone: it was killed, or the desk or the machine went down"
        )


def _worker(instance: dg.DagsterInstance, run_id: str) -> tuple[int, float] | None:
    """The process that last said it executes the run's steps, and when it said so."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT).records
    for record in reversed(records):
        event = record.event_log_entry.dagster_event
        told = event.engine_event_data.metadata if event else {}
        if "pid" in told and "step_keys" in told:
            return int(str(told["pid"].value)), record.event_log_entry.timestamp
    return None


def _lives(pid: int, said_at: float) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # A process that was made after the run spoke has only inherited the number. But that is reckoned by the machine's clock as it is
        # now: once it was set forward, every process looks so. A run that is marked failed while it works would be two at once: worse than
        # to believe another run's worker for as long as that lives.
        return process.create_time() <= said_at + 1 or WORKER in process.cmdline()
    except psutil.NoSuchProcess:
        return False
