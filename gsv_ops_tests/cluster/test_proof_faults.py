"""What prove_backup says, and takes down, when something is wrong with the restore or with the run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_ASSET, PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.restored import scratch_of, standing_still

pytestmark = pytest.mark.cluster

FOUR_LINES = ("Changed: ", "Not changed: ", "Run it again: ", "Next: ")


@contextmanager
def taken_from_the_store(outside: Outside, segment: str) -> Iterator[None]:
    """A WAL segment that is not in the store. It is moved and not copied: the store keeps what it knows of an object in xattrs."""
    file = outside.wal_files()[segment]
    aside = outside.store.parent / f"{segment}.aside"
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


def test_a_wal_segment_that_is_missing_fails_the_proof_with_the_cause(a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """The segment that the target lies in; found within three minutes, where the operator says nothing for eleven."""
    said = first_backup.materialized[BACKUP_ASSET]
    segment = outside.value(outside.primary(), f"select pg_walfile_name('{said['fingerprint LSN']}')")
    assert segment > said["end WAL"], "it must lie after the backup, or the base backup itself would be incomplete"
    begun = time.monotonic()
    with taken_from_the_store(outside, segment):
        run = a_desk.follow(a_desk.proof(backup=said["backup"]), PROOF_SECONDS)
    assert time.monotonic() - begun < 180
    assert run.status == "FAILURE"
    assert PROOF_ASSET not in run.materialized
    assert run.failure.startswith("failed: "), run.failure
    # PostgreSQL's own word, which stands in the recovery pod's log and nowhere else
    assert "recovery ended before configured recovery target was reached" in run.failure
    assert all(line in run.failure for line in FOUR_LINES), run.failure
    assert not run.checks["restored_rows_are_equal"]["success"]
    assert run.checks["nothing_is_left_of_the_proof"]["success"]
    until(lambda: not outside.everything_named(scratch_of(run)), 15, "nothing of the scratch cluster to be left")


def test_a_row_changed_in_the_restored_database_fails_the_proof_and_is_named(a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """One row deleted, and one changed in another table: both tables are named, with their counts."""
    run = a_desk.proof(backup=backup_name)
    with standing_still(a_desk, outside, run) as pod:
        tickets = int(outside.value(pod, "select count(*) from registry.tickets"))
        users = int(outside.value(pod, "select count(*) from registry.users"))
        outside.psql(pod, "delete from registry.tickets where number = (select min(number) from registry.tickets)")
        first = "select min(email) from registry.users"
        outside.psql(pod, f"update registry.users set roles = roles || 'changed'::text where email = ({first})")
    a_desk.follow(run, PROOF_SECONDS)
    assert run.status == "FAILURE"
    assert PROOF_ASSET not in run.materialized
    assert "failed: " in run.failure
    assert f"registry.tickets: has another number of rows (rows: source {tickets}, restored {tickets - 1})" in run.failure
    assert f"registry.users: has as many rows with other content (rows: source {users}, restored {users})" in run.failure
    assert "2 differences" in run.failure
    assert not run.checks["restored_rows_are_equal"]["success"]
    until(lambda: not outside.everything_named(scratch_of(run)), 15, "nothing of the scratch cluster to be left")


def test_a_cancelled_proof_takes_its_scratch_cluster_down(a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """While it recovers; within 120 s, volumes and all."""
    run = a_desk.proof(backup=backup_name)
    scratch = scratch_of(run)
    until(lambda: any(name.startswith("Pod/") for name in outside.everything_named(scratch)), 60, f"a pod of {scratch}")
    assert not a_desk.refresh(run).ended, run.failure
    begun = time.monotonic()
    a_desk.cancel(run)
    until(lambda: not outside.everything_named(scratch), 120, "everything of the scratch cluster to be gone")
    a_desk.follow(run, 180 - (time.monotonic() - begun))
    assert run.status == "CANCELED"
    assert not run.materialized
    assert not outside.names("clusters", f"gsv-ops/run={run.run_id}")
