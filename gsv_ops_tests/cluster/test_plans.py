"""Plans that are applied as they were read, or not at all; two runs at once; the wrong cluster; too few rights."""

import pytest
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.a_desk import (
    BACKUP_ASSET,
    BACKUP_NODE,
    BACKUP_SECONDS,
    PROOF_NODE,
    PROOF_SECONDS,
    ADesk,
    asset_config,
)
from gsv_ops_tests.cluster.breaking import parameter_of_the_source
from gsv_ops_tests.cluster.fault_table import backups, proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CNPG, NAMESPACE, Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

pytestmark = pytest.mark.cluster


@expects(backups.TWO_AT_ONCE)
def test_two_backups_at_once_by_one_plan_are_taken_one_after_the_other(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """Each makes exactly the one Backup that was planned, under its own run's name."""
    plan = a_desk.run("plan_backup_database").outputs["plan"]["plan"]
    with row.timed():
        both = [a_desk.launch("backup_database", asset_config(BACKUP_NODE, {"plan_id": plan})) for _ in range(2)]
        for run in both:
            a_desk.follow(run, 2 * BACKUP_SECONDS)
    for run in both:
        row.judge(run, left_of(outside, run))
        assert run.materialized[BACKUP_ASSET]["plan"] == plan
    made = [outside.list("backups", f"gsv-ops/run={run.run_id}") for run in both]
    assert [len(bodies) for bodies in made] == [1, 1]
    spans = sorted((body["metadata"]["creationTimestamp"], body["status"]["stoppedAt"]) for (body,) in made)
    assert spans[0][1] <= spans[1][0], "the second began before the first had ended"


@expects(proofs.PLAN_MOVED_ON)
def test_a_plan_is_refused_with_the_difference_once_the_cluster_has_moved_on(
    row: Row, a_desk: ADesk, outside: Outside, backup_name: str
) -> None:
    """The source's parameters are part of what is restored; nothing is done."""
    shown = a_desk.run("plan_prove_backup", {"backup": backup_name}).outputs["plan"]
    with parameter_of_the_source(outside, "work_mem", "5MB"), row.timed():
        run = a_desk.follow(a_desk.proof(backup=backup_name, plan_id=shown["plan"]))
    row.judge(run, left_of(outside, run))
    assert f"the cluster has moved on since plan {shown['plan']}" in run.failure


@expects(proofs.PLAN_BACKUP_GONE)
def test_a_plan_for_a_backup_that_was_deleted_meanwhile_is_refused(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """And no other Backup is proven in its place."""
    doomed = a_desk.backup().materialized[BACKUP_ASSET]["backup"]
    shown = a_desk.run("plan_prove_backup", {"backup": doomed}).outputs["plan"]
    assert (shown["actions"], shown["refused"]) == (2, 0)
    outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "backups", doomed)
    with row.timed():
        run = a_desk.follow(a_desk.proof(backup=doomed, plan_id=shown["plan"]))
    row.judge(run, left_of(outside, run))
    assert f'"{doomed}" in namespace "cmp"' in run.failure
    assert "does not exist" in run.failure or "did you mean" in run.failure


def test_a_plan_id_that_nobody_was_shown_is_refused(a_desk: ADesk, outside: Outside) -> None:
    """With the job that shows one."""
    run = a_desk.backup(plan_id="p-0123456789ab")
    assert run.status == "FAILURE"
    assert "no plan 'p-0123456789ab' is known here" in run.failure
    assert "plan_backup_database" in run.failure
    assert not outside.names("backups", f"gsv-ops/run={run.run_id}")


def test_on_another_cluster_than_the_environments_nothing_is_written(a_desk: ADesk, outside: Outside) -> None:
    """GSV_CLUSTER_IDENTITY names another."""
    before = outside.names("backups")
    run = a_desk.command_line("backup_database", GSV_CLUSTER_IDENTITY="00000000-0000-0000-0000-000000000000")
    assert run.status == "FAILURE"
    identity = outside.core.read_namespace("kube-system").metadata.uid
    assert f"this is not the cluster of environment 'sandbox': its kube-system namespace has UID {identity}" in run.failure
    assert "Changed: nothing." in run.failure
    assert outside.names("backups") == before


def test_a_reader_is_told_which_right_it_lacks_and_by_which_role(a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    """A kubeconfig of the read-only identity: it can plan, and is refused at the first write."""
    before = outside.names("backups")
    run = a_desk.command_line("backup_database", GSV_KUBECONFIG=str(sandbox.kubeconfig("readonly")))
    assert run.status == "FAILURE"
    assert 'user "gsv-readonly" may not create backups in namespace "cmp". A Role in namespace "cmp"' in run.failure, run.failure
    assert 'apiGroups: ["postgresql.cnpg.io"], resources: ["backups"], verbs: ["create"]' in run.failure
    assert "Changed: nothing." in run.failure
    assert outside.names("backups") == before


@expects(proofs.TWO_AT_ONCE)
def test_two_proofs_at_once_are_made_one_after_the_other(row: Row, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """The second waits for the pool; both prove, and never two scratch clusters stand."""
    most = 0

    def ended() -> bool:
        nonlocal most
        standing = [name for name in outside.names("clusters") if name in {scratch_of(run) for run in both}]
        most = max(most, len(standing))
        return all(a_desk.refresh(run).ended for run in both)

    with row.timed():
        both = [a_desk.launch("prove_backup", asset_config(PROOF_NODE, {"backup": backup_name})) for _ in range(2)]
        until(ended, 2 * PROOF_SECONDS, "both proofs to end", every=1.0)
    for run in both:
        row.judge(run, left_of(outside, run))
    assert most == 1
