"""A switchover between a backup and its proof, and right before a backup."""

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_ASSET, PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.breaking import promote_the_replica
from gsv_ops_tests.cluster.fault_table import proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def before_and_after(a_desk: ADesk, outside: Outside) -> tuple[Run, Run]:
    """Two backups, and a switchover between them."""
    before = a_desk.backup()
    assert before.status == "SUCCESS", before.failure
    promote_the_replica(outside)
    after = a_desk.backup()
    assert after.status == "SUCCESS", after.failure
    until(outside.healthy, 180, f"{CLUSTER} to be whole again")
    assert after.materialized[BACKUP_ASSET]["timeline"] == before.materialized[BACKUP_ASSET]["timeline"] + 1
    assert after.checks["wal_to_its_end_is_archived"]["success"]
    return before, after


@pytest.mark.parametrize(
    "which",
    [pytest.param(0, marks=expects(proofs.SWITCHOVER_BEFORE)), pytest.param(1, marks=expects(proofs.SWITCHOVER_AFTER))],
    ids=["before", "after"],
)
def test_a_backup_from_before_or_after_a_switchover_is_proven(
    row: Row, a_desk: ADesk, outside: Outside, before_and_after: tuple[Run, Run], which: int
) -> None:
    """Every row, on the timeline that it was taken on."""
    backup = before_and_after[which].materialized[BACKUP_ASSET]
    with row.timed():
        run = a_desk.follow(a_desk.proof(backup=backup["backup"]), PROOF_SECONDS)
    row.judge(run, left_of(outside, run))
    proven = run.materialized[PROOF_ASSET]
    assert proven["target timeline"] == backup["timeline"]
    assert proven["rows"] == backup["rows"]
