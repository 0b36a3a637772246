"""Runs whose workers are killed with -9: what they leave is known, adopted, or taken down, and nothing is done twice."""

import pytest

from gsv_ops_tests.cluster import moments
from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, BACKUP_SECONDS, PROOF_ASSET, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.moments import Moment
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
    moments.scratch_has_a_volume(a_desk, outside, killed)
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


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moments.worker_begun, marks=expects(backups.KILLED_BEFORE)),
        pytest.param(moments.backup_asked, marks=expects(backups.KILLED_MADE)),
        pytest.param(moments.backup_completed, marks=expects(backups.KILLED_COMPLETED)),
    ],
)
def test_a_killed_backup_is_adopted_when_it_is_run_again_from_its_failure(
    row: Row, a_desk: ADesk, outside: Outside, moment: Moment
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


@pytest.mark.parametrize(
    "moment",
    [
        pytest.param(moments.scratch_read, marks=expects(proofs.KILLED_READING)),
        pytest.param(moments.scratch_going, marks=expects(proofs.KILLED_RELEASING)),
    ],
)
def test_the_sweeper_takes_down_what_a_killed_proof_left(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str, moment: Moment
) -> None:
    """Also when it was killed so late that the rest goes by itself."""
    killed = a_desk.proof(backup=backup_name)
    moment(a_desk, outside, killed)
    a_desk.kill(killed)
    with row.timed():
        a_desk.follow(killed, NOTICED_SECONDS)
    row.judge(killed, left_of(outside, killed))
    swept = a_desk.run("sweep_scratch_clusters", {"mode": "apply"}, 240)
    assert swept.status == "SUCCESS", swept.failure
    until(lambda: not left_of(outside, killed)(), 60, "nothing of it to be left")
