"""What a Cluster says of itself, as far as backing it up depends on it."""

from typing import Any

import pytest

from gsv_ops.database import source
from gsv_ops.database.source import Archive
from gsv_ops_tests.unit.database.a_cluster import CLUSTER, cluster

PLUGIN = CLUSTER["spec"]["plugins"][1]
STORE = {"destinationPath": "s3://backups/", "serverName": "old-name"}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Archive("plugin", "cmp-postgres-7", "store")),
        ({"spec__plugins": [PLUGIN | {"parameters": {"barmanObjectName": "store"}}]}, Archive("plugin", "cmp-postgres", "store")),
        ({"spec__plugins": [PLUGIN | {"parameters": None}]}, Archive("plugin", "cmp-postgres", "")),
        ({"spec__plugins": [{key: PLUGIN[key] for key in PLUGIN if key != "enabled"}]}, Archive("plugin", "cmp-postgres-7", "store")),
        ({"spec__plugins": [PLUGIN | {"enabled": False}]}, Archive("none", "cmp-postgres")),
        ({"spec__plugins": [PLUGIN | {"isWALArchiver": False}]}, Archive("none", "cmp-postgres")),
        ({"spec__plugins": [PLUGIN | {"name": "other.example.com"}]}, Archive("none", "cmp-postgres")),
        ({"spec__plugins": None}, Archive("none", "cmp-postgres")),
        ({"spec__backup": {"barmanObjectStore": STORE}}, Archive("plugin", "cmp-postgres-7", "store")),
        ({"spec__plugins": None, "spec__backup": {"barmanObjectStore": STORE}}, Archive("barmanObjectStore", "old-name")),
        (
            {"spec__plugins": [PLUGIN | {"enabled": False}], "spec__backup": {"barmanObjectStore": {"destinationPath": "s3://b/"}}},
            Archive("barmanObjectStore", "cmp-postgres"),
        ),
        ({"spec__plugins": None, "spec__backup": {"volumeSnapshot": {"className": "x"}}}, Archive("volumeSnapshot", "cmp-postgres")),
        ({"spec__plugins": None, "spec__backup": {"retentionPolicy": "7d"}}, Archive("none", "cmp-postgres")),
    ],
)
def test_how_a_cluster_is_backed_up(changes: dict[str, Any], expected: Archive) -> None:
    found = source.archive(cluster(**changes))
    assert found == expected
    assert found.usable is (expected.method in ("plugin", "barmanObjectStore"))


ARCHIVING_FAILS = [{"type": "ContinuousArchiving", "status": "False", "reason": "Failing", "message": "exit status 1"}]


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"metadata__deletionTimestamp": "2026-11-23T14:03:44Z"}, ["the cluster is being deleted"]),
        ({"metadata__annotations": {"cnpg.io/hibernation": "on"}}, ["the cluster is hibernated"]),
        ({"metadata__annotations": {"cnpg.io/hibernation": "off"}}, []),
        ({"metadata__annotations": {"cnpg.io/fencedInstances": '["cmp-postgres-1"]'}}, ['instances are fenced (["cmp-postgres-1"])']),
        ({"metadata__annotations": {"cnpg.io/fencedInstances": '["*"]'}}, ['instances are fenced (["*"])']),
        ({"metadata__annotations": {"cnpg.io/fencedInstances": "[]"}}, []),
        ({"metadata__annotations": None}, []),
        ({"spec__plugins": None}, ["the cluster has neither the Barman Cloud plugin as WAL archiver nor spec.backup"]),
        ({"spec__plugins": None, "spec__backup": {"volumeSnapshot": {}}}, ["the cluster has neither"]),
        ({"spec__plugins": None, "spec__backup": {"volumeSnapshot": {"className": "x"}}}, ["the cluster is backed up by volume snapshots"]),
        ({"spec__plugins": [PLUGIN | {"parameters": {}}]}, ["the plugin's parameters name no barmanObjectName"]),
        ({"status__currentPrimary": None}, ["no primary is settled: phase 'Cluster in healthy state', target 'cmp-postgres-1'"]),
        ({"status__targetPrimary": "cmp-postgres-2"}, ["no primary is settled: phase 'Cluster in healthy state', target 'cmp-postgres-2'"]),
        ({"status": None}, ["no primary is settled: phase '', target None"]),
        (
            {"status__conditions": ARCHIVING_FAILS},
            ["WAL archiving is failing, so a backup taken now could not be restored: exit status 1"],
        ),
        ({"status__conditions": [{"type": "ContinuousArchiving", "status": "Unknown"}]}, []),
        ({"status__conditions": []}, []),
        (
            {"metadata__annotations": {"cnpg.io/hibernation": "on"}, "status__conditions": ARCHIVING_FAILS, "status__currentPrimary": None},
            ["the cluster is hibernated", "WAL archiving is failing"],
        ),
    ],
)
def test_why_a_cluster_is_not_backed_up(changes: dict[str, Any], reasons: list[str]) -> None:
    found = source.why_not_backed_up(cluster(**changes))
    assert [reason[: len(expected)] for reason, expected in zip(found, reasons, strict=True)] == reasons


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({}, []),
        ({"metadata__deletionTimestamp": "2026-11-23T14:03:44Z"}, ["the source cluster is being deleted"]),
        ({"status__targetPrimary": "pending"}, ["the source is switching over: phase 'Cluster in healthy state'"]),
        ({"status__conditions": ARCHIVING_FAILS}, []),
    ],
)
def test_why_a_proof_should_wait(changes: dict[str, Any], reasons: list[str]) -> None:
    assert source.why_not_restorable_beside(cluster(**changes)) == reasons


def test_facts_are_what_does_not_move_by_itself() -> None:
    assert source.facts(cluster()) == {
        "cluster uid": "u-cluster",
        "method": "plugin",
        "object store": "store",
        "server name": "cmp-postgres-7",
        "primary": "cmp-postgres-1",
        "image": "localhost/postgresql:15.20",
    }
    assert source.facts(cluster(metadata__resourceVersion="9", status__readyInstances=1)) == source.facts(cluster())


def test_the_image_is_the_one_that_runs() -> None:
    assert source.image(cluster(status__image="localhost/postgresql:15.21")) == "localhost/postgresql:15.21"
    assert source.image(cluster(status__image=None)) == "localhost/postgresql:15.20"
    assert (source.major(cluster()), source.major(cluster(status__pgDataImageInfo=None))) == (15, 0)
