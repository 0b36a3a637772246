"""What a backup would be, and why it must not be taken."""

from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from gsv_ops.database.backup.plan import BackupDatabase, BackupSnapshot, plan
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import FRAME, OBJECT_STORE, backup, cluster

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def planned(body: Object | None = None, problem: str = "", backups: tuple[Object, ...] = ()) -> Plan:
    snapshot = BackupSnapshot(body or cluster(), None if problem else OBJECT_STORE, problem, backups)
    return plan(spec.load(None), snapshot, BackupDatabase(), FRAME, NOW)


def test_a_backup_is_one_object_by_the_clusters_own_method() -> None:
    made = planned()
    [action] = made.actions
    assert (action.verb, str(action.target), action.target.uid) == ("create", "Backup cmp/cmp-postgres-{run}", "")
    assert action.body == {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {},
        "spec": {
            "cluster": {"name": "cmp-postgres"},
            "method": "plugin",
            "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
        },
    }
    assert "ObjectStore store as server cmp-postgres-7" in action.reason
    assert (made.refused, made.facts["primary"]) == ((), "cmp-postgres-1")


def test_the_in_tree_way_is_taken_where_it_is_and_warned_of() -> None:
    [action] = planned(cluster(spec__plugins=None, spec__backup={"barmanObjectStore": {"destinationPath": "s3://b/"}})).actions
    assert action.body is not None
    assert action.body["spec"] == {"cluster": {"name": "cmp-postgres"}, "method": "barmanObjectStore"}
    assert "removed in CloudNativePG 1.31: move to the plugin" in action.reason


@pytest.mark.parametrize(
    ("changes", "problem", "reason"),
    [
        ({"metadata__annotations": {"cnpg.io/hibernation": "on"}}, "", "the cluster is hibernated"),
        (
            {"spec__plugins": None, "spec__backup": {"volumeSnapshot": {"className": "x"}}},
            "",
            "no WAL position of such a backup can be proven",
        ),
        ({}, 'objectstores "store" not found', 'its ObjectStore cannot be read: objectstores "store" not found'),
    ],
)
def test_what_could_not_be_restored_is_refused_and_nothing_is_planned(changes: dict[str, Any], problem: str, reason: str) -> None:
    made = planned(cluster(**changes), problem)
    assert made.actions == ()
    assert [str(refusal.target) for refusal in made.refused] == ["Cluster cmp/cmp-postgres"]
    assert reason in made.refused[0].reason


def test_every_reason_is_told() -> None:
    made = planned(cluster(metadata__annotations={"cnpg.io/hibernation": "on", "cnpg.io/fencedInstances": '["*"]'}), "no store")
    assert len(made.refused) == 3


def test_earlier_backups_are_kept_whatever_became_of_them() -> None:
    made = planned(backups=(backup("a"), backup("b", status__phase="failed"), backup("c", status=None)))
    assert [(kept.target.name, kept.reason.partition(":")[0]) for kept in made.kept] == [
        ("a", "completed"),
        ("b", "failed"),
        ("c", "no phase yet"),
    ]
    assert made.seen == 4


def test_the_same_cluster_gives_the_same_plan_whenever_and_another_primary_another() -> None:
    later = plan(
        spec.load(None),
        BackupSnapshot(cluster(metadata__resourceVersion="9"), OBJECT_STORE, "", (backup("a"),)),
        BackupDatabase(),
        FRAME,
        NOW,
    )
    assert later.id == planned().id
    assert planned(cluster(status__currentPrimary="cmp-postgres-2", status__targetPrimary="cmp-postgres-2")).id != planned().id


def test_an_unknown_database_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValidationError, match=r"no database 'other' in platform\.yaml; it has cmp_postgres"):
        BackupDatabase(database="other")
