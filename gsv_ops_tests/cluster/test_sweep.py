"""sweep_scratch_clusters: only what proofs made, and only what is expired or whose run is over."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from kubernetes import client

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.fault_table import proofs
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import NAMESPACE, Outside, until
from gsv_ops_tests.cluster.restored import scratch_of

pytestmark = pytest.mark.cluster


def policy(name: str, operation: str | None, expires: timedelta | None) -> client.V1NetworkPolicy:
    """A NetworkPolicy that shuts nothing: it selects no pod that there is."""
    labels = {"gsv-ops/operation": operation, "gsv-ops/run": str(uuid4())} if operation else {"app": "somebody-elses"}
    marks = {} if expires is None else {"gsv-ops/expires": (datetime.now(UTC) + expires).isoformat()}
    return client.V1NetworkPolicy(
        metadata=client.V1ObjectMeta(name=name, labels=labels, annotations=marks),
        spec=client.V1NetworkPolicySpec(pod_selector=client.V1LabelSelector(match_labels={"nobody": "has-this"}), policy_types=["Ingress"]),
    )


def test_only_what_is_expired_goes_and_nothing_that_is_not_a_proofs(a_desk: ADesk, outside: Outside) -> None:
    """Of five NetworkPolicies, the one whose time is past."""
    hour = timedelta(hours=1)
    made = {
        "sweep-expired": policy("sweep-expired", "prove_backup", -hour),
        "sweep-not-yet": policy("sweep-not-yet", "prove_backup", hour),
        "sweep-undated": policy("sweep-undated", "prove_backup", None),
        "sweep-other-operation": policy("sweep-other-operation", "restore_database", -hour),
        "sweep-foreign": policy("sweep-foreign", None, -hour),
    }
    for body in made.values():
        outside.networking.create_namespaced_network_policy(NAMESPACE, body)
    try:
        run = a_desk.run("sweep_scratch_clusters", {"mode": "apply"})
        assert run.status == "SUCCESS", run.failure
        left = {name.removeprefix("NetworkPolicy/") for name in outside.everything_named("sweep-")}
        assert left == set(made) - {"sweep-expired"}
        kept = {row["target"]: row["why"] for row in run.outputs["plan"]["what is left alone"]}
        assert "expires at" in kept[f"NetworkPolicy {NAMESPACE}/sweep-not-yet"]
        assert "no readable" in kept[f"NetworkPolicy {NAMESPACE}/sweep-undated"]
    finally:
        for name in outside.everything_named("sweep-"):
            outside.networking.delete_namespaced_network_policy(name.removeprefix("NetworkPolicy/"), NAMESPACE)


@expects(proofs.KILLED_AND_SWEPT)
def test_it_takes_down_what_a_killed_proof_left(row: Row, a_desk: ADesk, outside: Outside, backup_name: str) -> None:
    """Without another proof."""
    run = a_desk.proof(backup=backup_name)
    until(lambda: any(name.startswith("Pod/") for name in outside.everything_named(scratch_of(run))), 60, "a pod of the scratch cluster")
    a_desk.kill(run)
    assert a_desk.follow(run, 90).status == "FAILURE"
    assert scratch_of(run) in outside.names("clusters")
    with row.timed():
        swept = a_desk.run("sweep_scratch_clusters", {"mode": "apply"}, 240)
    row.judge(swept, left_of(outside, run))
