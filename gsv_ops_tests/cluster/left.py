"""What is left of a run in the cluster and the database, in the words of the fault table."""

from __future__ import annotations

from collections.abc import Callable

from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.outside import Outside
from gsv_ops_tests.cluster.restored import moment_scratch_of, scratch_of

SLOTS = "select count(*) from pg_replication_slots where slot_name like 'gsv%'"


def left_of(outside: Outside, *runs: Run) -> Callable[[], set[str]]:
    """Asks for the kinds of what these root runs made and what is still there."""

    def left() -> set[str]:
        found = set[str]()
        for run in runs:
            if outside.names("backups", f"gsv-ops/run={run.run_id}"):
                found.add("Backup")
            if outside.everything_named(scratch_of(run)) or outside.everything_named(moment_scratch_of(run)):
                found.add("scratch cluster")
        if outside.value(outside.primary(), SLOTS) != "0":
            found.add("replication slot")
        return found

    return left
