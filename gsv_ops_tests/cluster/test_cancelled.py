"""A backup and a proof, cancelled by the button in the UI in each of their long moments: the run says what it changed and owns nothing."""

import re

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster import moments
from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.fault_table import proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

pytestmark = pytest.mark.cluster

FOUR = re.compile(r"cancelled\nChanged: (?P<changed>.+)\.\nNot changed: .+\.\nRun it again: .+\nNext: .+")
SLOTS = "select count(*) from pg_replication_slots where slot_name like 'gsv%'"
SESSIONS = "select count(*) from pg_stat_activity where usename = 'gsv_ops'"
ENDED_SECONDS = 60


def cancelled(a_desk: ADesk, run: Run, seconds: float = ENDED_SECONDS) -> str:
    """Cancel it; what the first of its four lines says was changed."""
    a_desk.cancel(run)
    a_desk.follow(run, seconds)
    assert run.status == "CANCELED", run.failure
    assert not run.materialized
    told = FOUR.search("\n".join(run.lines))
    assert told, "the four lines are not in its log"
    return told["changed"]


def test_a_backup_cancelled_while_it_runs_stays_and_is_named(a_desk: ADesk, outside: Outside) -> None:
    """The base backup is the operator's by then: it is neither deleted nor waited for, and the next run takes one of its own."""
    run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
    until(lambda: outside.names("backups", f"gsv-ops/run={run.run_id}"), 60, "its Backup")
    changed = cancelled(a_desk, run)
    [name] = outside.names("backups", f"gsv-ops/run={run.run_id}")
    assert f"create Backup cmp/{name}" in changed
    again = a_desk.backup()
    assert again.status == "SUCCESS", again.failure
    assert again.materialized[BACKUP_ASSET]["backup"] != name


def test_a_backup_cancelled_in_its_fingerprint_leaves_no_slot_and_no_session(a_desk: ADesk, outside: Outside) -> None:
    """The fingerprint is held up by somebody's open transaction: its slot is there when the run is cancelled."""
    primary = outside.primary()
    run = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
    a_desk.wait_line(run, "is completed: id", 60)
    with outside.open_transaction(primary, "forgotten"):
        until(lambda: outside.value(primary, SLOTS) != "0", 30, "the fingerprint's slot")
        changed = cancelled(a_desk, run)
    assert "create Backup cmp/" in changed
    until(lambda: outside.value(primary, SLOTS) == "0", 20, "no slot to be left")
    until(lambda: outside.value(primary, SESSIONS) == "0", 20, "no session to be left")


@expects(proofs.CANCELLED_READING)
def test_a_proof_cancelled_while_it_reads_what_it_restored_takes_everything_down(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str
) -> None:
    """Volumes and all, within the time that a cancelled run has; and the next proof proves."""
    run = a_desk.proof(backup=backup_name)
    moments.scratch_read(a_desk, outside, run)
    with row.timed():
        changed = cancelled(a_desk, run, 150)
    row.judge(run, left_of(outside, run))
    assert f"made and taken down again: NetworkPolicy cmp/{scratch_of(run)}, Cluster cmp/{scratch_of(run)}" in changed
    again = a_desk.follow(a_desk.proof(backup=backup_name), PROOF_SECONDS)
    assert again.status == "SUCCESS", again.failure
