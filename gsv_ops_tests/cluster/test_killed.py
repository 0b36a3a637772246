"""Runs whose workers are killed with -9: what they leave is known, adopted, or taken down, and nothing is done twice."""

from collections.abc import Callable

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, BACKUP_SECONDS, PROOF_ASSET, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

pytestmark = pytest.mark.cluster

NOTICED_SECONDS = 90
"""Until Dagster's monitor sees that a worker is gone: it looks every 30 s."""


@expects(proofs.KILLED_RECOVERING)
def test_the_next_proof_takes_down_what_a_killed_one_left_and_proves(row: Row, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """The sweeper's plan names it before, and changes nothing; no cluster is leaked, and no second backup taken."""
    made_before = outside.names("backups")
    killed = a_desk.proof(backup=backup_name)
    scratch = scratch_of(killed)
    until(lambda: any(name.startswith("PersistentVolumeClaim/") for name in outside.everything_named(scratch)), 90, "the scratch cluster")
    a_desk.kill(killed)
    with row.timed():
        a_desk.follow(killed, NOTICED_SECONDS)
    row.judge(killed, left_of(outside, killed))

    before = outside.everything_named(scratch)
    plan = a_desk.run("sweep_scratch_clusters", {"mode": "plan"})
    assert plan.status == "SUCCESS", plan.failure
    planned = {(line["do"], line["target"]) for line in plan.outputs["plan"]["what would be done"]}
    assert planned == {("delete", f"Cluster cmp/{scratch}"), ("delete", f"NetworkPolicy cmp/{scratch}")}
    assert before <= outside.everything_named(scratch) | {name for name in before if name.startswith(("Pod/", "Job/"))}

    run = a_desk.follow(a_desk.proof(backup=backup_name), PROOF_SECONDS)
    assert run.status == "SUCCESS", run.failure
    assert run.materialized[PROOF_ASSET]["verdict"] == "proven"
    until(lambda: not left_of(outside, killed, run)(), 15, "nothing of both to be left")
    assert outside.names("backups") == made_before
    assert CLUSTER in outside.names("clusters")


def begun(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Until the run's worker works, and has made nothing yet."""
    until(lambda: a_desk.processes(run), 60, "the worker", every=0.05)


def made(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Until its Backup is there."""
    until(lambda: outside.names("backups", f"gsv-ops/run={run.run_id}"), 60, "the Backup", every=0.05)


def completed(a_desk: ADesk, outside: Outside, run: Run) -> None:
    """Until its Backup is completed: it waits for the WAL, or reads the rows."""
    a_desk.wait_line(run, " is completed: id ", BACKUP_SECONDS)


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(begun, marks=expects(backups.KILLED_BEFORE)),
        pytest.param(made, marks=expects(backups.KILLED_MADE)),
        pytest.param(completed, marks=expects(backups.KILLED_COMPLETED)),
    ],
)
def test_a_killed_backup_is_adopted_when_it_is_run_again_from_its_failure(
    row: Row, a_desk: ADesk, outside: Outside, moment: Callable[[ADesk, Outside, Run], None]
) -> None:
    """Exactly one Backup of both runs: the one that was made first."""
    killed = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
    moment(a_desk, outside, killed)
    a_desk.kill(killed)
    with row.timed():
        a_desk.follow(killed, NOTICED_SECONDS)
    row.judge(killed, left_of(outside, killed))
    label = f"gsv-ops/run={killed.run_id}"
    first = outside.list("backups", label)
    again = a_desk.follow(a_desk.again(killed), BACKUP_SECONDS)
    assert again.status == "SUCCESS", again.failure
    assert again.run_id != killed.run_id
    every = [*outside.list("backups", label), *outside.list("backups", f"gsv-ops/run={again.run_id}")]
    assert len(every) == 1
    assert not first or [body["metadata"]["uid"] for body in every] == [body["metadata"]["uid"] for body in first]
    assert again.materialized[BACKUP_ASSET]["backup"] == every[0]["metadata"]["name"]
