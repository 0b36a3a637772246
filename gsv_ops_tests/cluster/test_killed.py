"""A proof and a backup whose workers are killed with -9: what they leave is known, adopted, or taken down, and nothing is done twice."""

from dataclasses import dataclass

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, BACKUP_SECONDS, PROOF_ASSET, PROOF_SECONDS, ADesk, asset_config
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

pytestmark = pytest.mark.cluster

NOTICED_SECONDS = 90
"""Until Dagster's monitor sees that a worker is gone: it looks every 30 s."""


@dataclass(frozen=True)
class Killed:
    """Both runs, after Dagster has noticed."""

    proof: Run
    backup: Run


@pytest.fixture(scope="module")
def killed(a_desk: ADesk, outside: Outside, backup_name: str) -> Killed:
    """A proof killed while it recovers, and a backup killed right after it made its Backup."""
    proof = a_desk.proof(backup=backup_name)
    until(lambda: scratch_of(proof) in outside.names("clusters"), 60, "the scratch cluster")
    backup = a_desk.launch("backup_database", asset_config(BACKUP_NODE, {}))
    until(lambda: outside.names("backups", f"gsv-ops/run={backup.run_id}"), 60, "the Backup", every=0.05)
    a_desk.kill(backup)
    a_desk.kill(proof)
    for run in (proof, backup):
        a_desk.follow(run, NOTICED_SECONDS)
        assert run.status == "FAILURE"
        assert not run.materialized
    return Killed(proof, backup)


def test_it_was_killed_in_the_middle(killed: Killed, outside: Outside) -> None:
    """Else nothing below shows anything: its scratch cluster stands, with its volume."""
    assert any(name.startswith("PersistentVolumeClaim/") for name in outside.everything_named(scratch_of(killed.proof)))


def test_the_sweepers_plan_names_what_was_left_and_changes_nothing(killed: Killed, a_desk: ADesk, outside: Outside) -> None:
    """Mode `plan`."""
    before = outside.everything_named(scratch_of(killed.proof))
    run = a_desk.run("sweep_scratch_clusters", {"mode": "plan"})
    assert run.status == "SUCCESS", run.failure
    planned = {(row["do"], row["target"]) for row in run.outputs["plan"]["what would be done"]}
    assert ("delete", f"Cluster cmp/{scratch_of(killed.proof)}") in planned
    assert ("delete", f"NetworkPolicy cmp/{scratch_of(killed.proof)}") in planned
    assert all(scratch_of(killed.proof) in target for _, target in planned), "only what is left of a run that is over"
    assert before <= outside.everything_named(scratch_of(killed.proof)) | {n for n in before if n.startswith(("Pod/", "Job/"))}


def test_a_killed_backup_is_adopted_when_it_is_run_again_from_its_failure(killed: Killed, a_desk: ADesk, outside: Outside) -> None:
    """Exactly one Backup of that run: the one it had made."""
    label = f"gsv-ops/run={killed.backup.run_id}"
    made = outside.list("backups", label)
    again = a_desk.follow(a_desk.again(killed.backup), BACKUP_SECONDS)
    assert again.status == "SUCCESS", again.failure
    assert again.run_id != killed.backup.run_id
    now = outside.list("backups", label)
    assert [body["metadata"]["uid"] for body in now] == [body["metadata"]["uid"] for body in made]
    assert again.materialized[BACKUP_ASSET]["backup"] == made[0]["metadata"]["name"]
    assert not outside.names("backups", f"gsv-ops/run={again.run_id}")


def test_the_next_proof_takes_down_what_was_left_and_proves(killed: Killed, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """No leaked cluster, no second backup."""
    backups = outside.names("backups")
    assert scratch_of(killed.proof) in outside.names("clusters")
    run = a_desk.follow(a_desk.proof(backup=backup_name), PROOF_SECONDS)
    assert run.status == "SUCCESS", run.failure
    assert run.materialized[PROOF_ASSET]["verdict"] == "proven"
    for proof in (killed.proof, run):
        until(lambda proof=proof: not outside.everything_named(scratch_of(proof)), 15, f"nothing of {scratch_of(proof)} to be left")
    assert outside.names("backups") == backups
    assert CLUSTER in outside.names("clusters")
