"""A switchover between a backup and its proof, and right before a backup."""

import pytest

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_ASSET, PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, NAMESPACE, Outside, until

pytestmark = [pytest.mark.cluster, pytest.mark.faults]


def promote_the_replica(outside: Outside) -> None:
    """As CloudNativePG's own plugin does it: the target primary, through the status subresource. Until a primary is settled."""
    body = outside.get("clusters", CLUSTER)
    status = body["status"]
    replica = next(name for name in status["instanceNames"] if name != status["currentPrimary"])
    patch = {
        "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
        "status": {"targetPrimary": replica, "phase": "Switchover in progress", "phaseReason": f"Switching over to {replica}"},
    }
    outside.custom.patch_namespaced_custom_object_status(*CNPG, NAMESPACE, "clusters", CLUSTER, patch)
    until(lambda: outside.primary() == replica and outside.answers(replica), 120, f"{replica} to be primary")


def test_backups_from_before_and_after_a_switchover_are_proven(a_desk: ADesk, outside: Outside) -> None:
    """The first one's target lies on the timeline that was left; the second is taken on the former primary."""
    before = a_desk.backup()
    assert before.status == "SUCCESS", before.failure
    said = before.materialized[BACKUP_ASSET]
    promote_the_replica(outside)
    after = a_desk.backup()
    assert after.status == "SUCCESS", after.failure
    assert after.materialized[BACKUP_ASSET]["timeline"] == said["timeline"] + 1
    assert after.checks["wal_to_its_end_is_archived"]["success"]
    for backup in (said, after.materialized[BACKUP_ASSET]):
        proof = a_desk.follow(a_desk.proof(backup=backup["backup"]), PROOF_SECONDS)
        assert proof.status == "SUCCESS", proof.failure
        proven = proof.materialized[PROOF_ASSET]
        assert proven["verdict"] == "proven"
        assert proven["target timeline"] == backup["timeline"]
        assert proven["rows"] == backup["rows"]
    until(outside.healthy, 180, f"{CLUSTER} to be whole again")
