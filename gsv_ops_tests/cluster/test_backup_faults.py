"""What backup_database says when the database or its store does not play along."""

import pytest

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, ADesk
from gsv_ops_tests.cluster.breaking_store import no_wal_taken
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.fixtures import HURRIED
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import Outside

pytestmark = pytest.mark.cluster


@expects(backups.OLD_TRANSACTION)
def test_an_old_open_transaction_costs_the_fingerprint_and_is_named(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """In another database of the server. The backup is good and says who is in the way, who is let be."""
    with outside.open_transaction(outside.primary(), "forgotten") as pid, row.timed():
        run = a_desk.backup()
        assert outside.value(outside.primary(), f"select count(*) from pg_stat_activity where pid = {pid}") == "1", "it was let be"
    row.judge(run, left_of(outside, run))
    said = run.materialized[BACKUP_ASSET]
    check = run.checks["fingerprint_is_taken"]
    assert (check["success"], check["severity"]) == (False, "WARN")
    assert f"pid {pid} (user postgres" in check["description"]
    assert run.checks["wal_to_its_end_is_archived"]["success"]
    assert "fingerprint LSN" not in said
    assert outside.get("backups", said["backup"])["status"]["phase"] == "completed"


@expects(proofs.NO_FINGERPRINT)
def test_a_backup_without_a_fingerprint_is_not_proven(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """It is refused with what was in the way then."""
    with outside.open_transaction(outside.primary(), "forgotten") as pid:
        backup = a_desk.backup()
    assert backup.status == "SUCCESS", backup.failure
    with row.timed():
        run = a_desk.follow(a_desk.proof(backup=backup.materialized[BACKUP_ASSET]["backup"]))
    row.judge(run, left_of(outside, run))
    assert f"pid {pid} (user postgres" in run.failure


@expects(backups.WAL_NOT_TAKEN)
def test_a_completed_backup_whose_wal_is_not_in_the_store_does_not_count(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """The operator says completed and knows of nothing; the store has the last word."""
    with no_wal_taken(outside):
        with row.timed():
            run = a_desk.backup(database=HURRIED)
        made = outside.list("backups", f"gsv-ops/run={run.run_id}")
        assert [body["status"]["phase"] for body in made] == ["completed"], f"else this shows nothing: {run.failure}"
    row.judge(run, left_of(outside, run))
    assert f"Changed: create Backup cmp/{made[0]['metadata']['name']}." in run.failure
