"""What a backup and a proof say when the object store is away, or no longer knows their key."""

import pytest
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.a_desk import BACKUP_NODE, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.breaking import wrong_credentials
from gsv_ops_tests.cluster.breaking_store import archives_again, no_object_store
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.moments import backup_completed, backup_copying, scratch_recovering
from gsv_ops_tests.cluster.outside import Outside

pytestmark = pytest.mark.cluster


@expects(backups.STORE_DOWN_BEFORE)
def test_without_its_object_store_a_backup_fails_and_says_so(row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    """Within its deadlines, with the cause from the pod's log, and it is known what there is of it."""
    with no_object_store(outside, sandbox), row.timed():
        run = a_desk.backup()
    row.judge(run, left_of(outside, run))
    made = outside.names("backups", f"gsv-ops/run={run.run_id}")
    assert f"Changed: create Backup cmp/{made.pop()}." in run.failure


@expects(backups.STORE_DOWN_DURING)
def test_a_store_that_goes_down_under_a_backup_fails_it(row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    with row.timed():
        run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
        backup_copying(a_desk, outside, run)
        with no_object_store(outside, sandbox):
            a_desk.follow(run)
    row.judge(run, left_of(outside, run))


@expects(backups.STORE_DOWN_AFTER)
def test_a_store_that_is_back_in_time_costs_a_completed_backup_nothing(row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    with row.timed():
        run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
        backup_completed(a_desk, outside, run)
        with no_object_store(outside, sandbox):
            a_desk.wait_line(run, "waiting for the object store to answer", 30)
        a_desk.follow(run)
    row.judge(run, left_of(outside, run))
    assert run.checks["wal_to_its_end_is_archived"]["success"]


@expects(backups.CREDENTIALS_WRONG)
def test_a_key_that_the_store_does_not_know_fails_the_backup_and_is_named(row: Row, a_desk: ADesk, outside: Outside) -> None:
    with wrong_credentials(outside), row.timed():
        run = a_desk.backup()
    archives_again(outside)
    row.judge(run, left_of(outside, run))


@expects(proofs.STORE_DOWN_BEFORE)
def test_without_the_object_store_nothing_is_proven_and_nothing_made(
    row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths, backup_name: str
) -> None:
    with no_object_store(outside, sandbox), row.timed():
        run = a_desk.follow(a_desk.proof(backup=backup_name), PROOF_SECONDS)
    row.judge(run, left_of(outside, run))
    assert "Changed: nothing." in run.failure


@expects(proofs.STORE_DOWN_DURING)
def test_a_store_that_goes_down_under_a_proof_says_nothing_of_the_backup(
    row: Row, a_desk: ADesk, outside: Outside, sandbox: Paths, backup_name: str
) -> None:
    with row.timed():
        run = a_desk.proof(backup=backup_name)
        scratch_recovering(a_desk, outside, run)
        with no_object_store(outside, sandbox):
            a_desk.follow(run, PROOF_SECONDS)
    row.judge(run, left_of(outside, run))


@expects(proofs.CREDENTIALS_WRONG)
def test_a_key_that_the_store_does_not_know_says_nothing_of_the_backup(row: Row, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    with wrong_credentials(outside), row.timed():
        run = a_desk.follow(a_desk.proof(backup=backup_name), PROOF_SECONDS)
    archives_again(outside)
    row.judge(run, left_of(outside, run))
    assert "Changed: nothing." in run.failure
