"""What prove_backup says, and takes down, when something is wrong with what was restored, with its volume or with the run."""

from pathlib import Path

import pytest

from gsv_ops_tests.cluster.a_desk import PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.breaking import small_volume
from gsv_ops_tests.cluster.fault_table import proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.restored import scratch_of, standing_still

pytestmark = pytest.mark.cluster

MEGABYTES = 48
"""Less than the dataset needs."""


@expects(proofs.ROWS_CHANGED)
def test_a_row_changed_in_the_restored_database_fails_the_proof_and_is_named(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str
) -> None:
    """One row deleted, and one changed in another table: both tables are named, with their counts."""
    with row.timed():
        run = a_desk.proof(backup=backup_name)
        with standing_still(a_desk, outside, run) as pod:
            tickets = int(outside.value(pod, "select count(*) from registry.tickets"))
            users = int(outside.value(pod, "select count(*) from registry.users"))
            outside.psql(pod, "delete from registry.tickets where number = (select min(number) from registry.tickets)")
            first = "select min(email) from registry.users"
            outside.psql(pod, f"update registry.users set roles = roles || 'changed'::text where email = ({first})")
        a_desk.follow(run, PROOF_SECONDS)
    row.judge(run, left_of(outside, run))
    assert f"registry.tickets: has another number of rows (rows: source {tickets}, restored {tickets - 1})" in run.failure
    assert f"registry.users: has as many rows with other content (rows: source {users}, restored {users})" in run.failure
    assert not run.checks["restored_rows_are_equal"]["success"]


@expects(proofs.VOLUME_FULL)
def test_a_scratch_volume_that_is_full_says_nothing_of_the_backup(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str, tmp_path: Path
) -> None:
    """A file system of a few megabytes under the scratch cluster's claim."""
    run = a_desk.proof(backup=backup_name)
    claim = f"{scratch_of(run)}-1"
    with small_volume(outside, tmp_path, claim, MEGABYTES):
        with row.timed():
            assert not outside.everything_named(scratch_of(run)) - {f"PersistentVolume/small-{claim} of {claim}"}, "the claim was first"
            a_desk.follow(run, PROOF_SECONDS)
        until(lambda: f"PersistentVolumeClaim/{claim}" not in outside.everything_named(claim), 30, f"{claim} to be gone")
    row.judge(run, left_of(outside, run))


@expects(proofs.CANCELLED)
def test_a_cancelled_proof_takes_its_scratch_cluster_down(row: Row, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """While it recovers; within 120 s, volumes and all."""
    run = a_desk.proof(backup=backup_name)
    scratch = scratch_of(run)
    until(lambda: any(name.startswith("Pod/") for name in outside.everything_named(scratch)), 60, f"a pod of {scratch}")
    assert not a_desk.refresh(run).ended, run.failure
    with row.timed():
        a_desk.cancel(run)
        until(lambda: not outside.everything_named(scratch), 120, "everything of the scratch cluster to be gone")
        a_desk.follow(run, proofs.CANCELLED.within)
    row.judge(run, left_of(outside, run))
    assert not outside.names("clusters", f"gsv-ops/run={run.run_id}")
