"""What a restore would be: the whole manifest and its difference from the source; and why not, before anything is made."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from syrupy.assertion import SnapshotAssertion

from gsv_ops.database import manifest
from gsv_ops.database.restore.observe import RestoreSnapshot, secrets_named
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.database.restore.plan import plan
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import CLUSTER, FRAME, OBJECT_STORE, backup, changed, cluster
from gsv_ops_tests.unit.database.test_window import NOW, SIMPLE, SIZE, minute

MINE = backup("mine", "2026-11-27T06:31:00Z", status__backupId="base-3")
GIB = 2**30


def quota(**values: tuple[str, str]) -> Object:
    hard, used = ({key: pair[n] for key, pair in values.items()} for n in (0, 1))
    return {"metadata": {"name": "team"}, "status": {"hard": hard, "used": used}}


def planned(params: dict[str, Any] | None = None, **parts: Any) -> Plan:
    chosen = RestoreDatabase(**(params or {}))
    snapshot = RestoreSnapshot(
        cluster=cluster(),
        remembered="",
        object_store=changed(OBJECT_STORE, {"status": {"serverRecoveryWindow": {"cmp-postgres-7": {"firstRecoverabilityPoint": "early"}}}}),
        backups=(MINE,),
        window=SIMPLE,
        goal=chosen.goal(chosen.backup),
        problems=(),
        taken=(),
        claims=(),
        quotas=(),
        storage_classes={"local-path": True},
        earlier=(),
    )
    return plan(spec.load(None), replace(snapshot, **parts), chosen, FRAME, NOW)


def body_of(made: Plan) -> dict[str, Any]:
    assert made.refused == ()
    assert made.actions[0].body is not None
    return dict(made.actions[0].body)


def refusals(made: Plan) -> str:
    assert made.actions == ()
    return " | ".join(refusal.reason for refusal in made.refused)


def test_the_manifest_is_the_sources_but_for_what_cannot_be_shared(snapshot: SnapshotAssertion) -> None:
    made = planned({"time": minute(35).isoformat()})
    assert body_of(made) == snapshot
    assert {row["field"] for row in made.shown["difference from the source"]} == {
        *("bootstrap.initdb.database", "bootstrap.initdb.encoding", "bootstrap.initdb.owner"),
        *("bootstrap.recovery.database", "bootstrap.recovery.owner", "bootstrap.recovery.source"),
        *(f"bootstrap.recovery.recoveryTarget.{field}" for field in ("backupID", "targetTLI", "targetTime")),
        *("externalClusters", "plugins"),
    }


def test_it_is_made_and_backed_up_in_an_archive_of_its_own() -> None:
    made = planned()
    assert [(action.verb, str(action.target)) for action in made.actions] == [
        ("create", "Cluster cmp/cmp-postgres-restored"),
        ("create", "Backup cmp/cmp-postgres-restored-{run}"),
    ]
    parameters = body_of(made)["spec"]["plugins"][1]["parameters"]
    assert parameters == {"barmanObjectName": "store", "serverName": "cmp-postgres-restored-{run}"}
    assert body_of(made)["spec"]["externalClusters"][0]["plugin"]["parameters"]["serverName"] == "cmp-postgres-7"
    assert made.actions[1].body == {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {},
        "spec": {
            "cluster": {"name": "cmp-postgres-restored"},
            "method": "plugin",
            "pluginConfiguration": {"name": "barman-cloud.cloudnative-pg.io"},
        },
    }


def test_what_an_operator_chooses_is_in_it() -> None:
    body = body_of(planned({"name": "then", "instances": 3, "storage": "2Gi"}))
    assert (body["metadata"]["name"], body["spec"]["instances"], body["spec"]["storage"]["size"]) == ("then", 3, "2Gi")


def test_what_two_clusters_cannot_share_is_left_out_and_said() -> None:
    source = cluster(
        spec__certificates={"serverTLSSecret": "mine"},
        spec__replica={"source": "far", "enabled": False},
        spec__externalClusters=[{"name": "far"}, {"name": "fed"}, {"name": "origin"}],
        spec__managed={"roles": [{"name": "r"}], "services": {"additional": [{"serviceTemplate": {}}]}},
        spec__bootstrap={"recovery": {"source": "far", "database": "d", "owner": "o", "secret": {"name": "s"}}},
    )
    made = planned(cluster=source)
    spec_ = body_of(made)["spec"]
    assert not {"certificates", "replica"} & spec_.keys()
    assert spec_["managed"] == {"roles": [{"name": "r"}]}
    assert [external["name"] for external in spec_["externalClusters"]] == ["origin", "fed"]
    recovery = spec_["bootstrap"]["recovery"]
    assert (recovery["database"], recovery["owner"], recovery["secret"]) == ("d", "o", {"name": "s"})
    told = {row["what"]: row["restored"] for row in made.shown["different afterwards"]}
    assert told["managed services"].startswith("not taken")
    assert told["certificates"].startswith("not taken: its certificates are made by the operator")
    assert told["application's Secret"] == "s: the same"
    assert source["spec"]["managed"]["services"], "the source's own manifest was changed"


def test_an_in_tree_archive_gets_a_server_name_of_its_own() -> None:
    store = OBJECT_STORE["spec"]["configuration"]
    body = body_of(planned(cluster=cluster(spec__plugins=None, spec__backup={"barmanObjectStore": store, "retentionPolicy": "7d"})))
    assert body["spec"]["backup"]["barmanObjectStore"]["serverName"] == "cmp-postgres-restored-{run}"
    assert body["spec"]["externalClusters"][0]["barmanObjectStore"]["serverName"] == "cmp-postgres"


@pytest.mark.parametrize(
    ("params", "parts", "told"),
    [
        ({}, {"taken": ("Cluster cmp/cmp-postgres-restored exists",)}, "exists; expected the name to be free: choose another `name`"),
        ({}, {"missing_secrets": ("s3-creds",)}, "Secret cmp/s3-creds is not there, and the manifest names it"),
        ({}, {"admission": "spec.instances: too many"}, "the API server refuses the manifest: spec.instances: too many"),
        ({}, {"problems": ("no proof 'x' is known here",)}, "no proof 'x' is known here"),
        ({}, {"storage_classes": {"fast": True}}, "StorageClass local-path is not there; expected one of fast"),
        (
            {},
            {"cluster": cluster(spec__storage={"size": "1Gi"}), "storage_classes": {"slow": False}},
            "the source names no StorageClass and the cluster has no default one",
        ),
        ({"name": "n" * 51}, {}, "has 51 characters, expected at most 50"),
        (
            {"instances": 3},
            {"quotas": (quota(persistentvolumeclaims=("4", "2")),)},
            "ResourceQuota team leaves no room: persistentvolumeclaims 2 of 4 used, 3 more needed",
        ),
        ({"storage": "1Mi"}, {}, "storage 1Mi is less than the source's 1Gi, and how large the database is is not known"),
        ({"time": (NOW + timedelta(days=1)).isoformat()}, {}, "lies in the future; the nearest that is known to be reachable is"),
        ({"time": minute(5).isoformat()}, {}, "lies before the end of the first base backup; the nearest that can be reached is"),
    ],
)
def test_what_must_not_be_made_is_refused(params: dict[str, Any], parts: dict[str, Any], told: str) -> None:
    assert told in refusals(planned(params, **parts))


def test_a_volume_may_be_smaller_than_the_sources_if_the_database_fits() -> None:
    bases = tuple(replace(base, data_bytes=100 * 2**20) for base in SIMPLE.bases)
    known = replace(SIMPLE, bases=bases)
    assert body_of(planned({"storage": "200Mi"}, window=known))["spec"]["storage"]["size"] == "200Mi"
    assert "the new volume only 104857600; ask for more `storage`" in refusals(planned({"storage": "100Mi"}, window=known))


def test_what_moves_by_itself_does_not_move_the_plan() -> None:
    """The end of the archive moves every minute, and which pod is primary with every failover."""
    later = replace(SIMPLE, wal=SIMPLE.wal[:-1], last_commit=None)
    goal = {"time": minute(33).isoformat()}
    assert planned(goal).id == planned(goal, window=later, backups=(), remembered="then").id
    assert planned(goal).id == planned(goal, cluster=cluster(status__currentPrimary="cmp-postgres-2", status__targetPrimary="x")).id
    assert planned(goal).id != planned({"time": minute(33.1).isoformat()}).id
    assert planned(goal).id != planned(goal, cluster=cluster(spec__logLevel="debug")).id
    assert planned(goal).id != planned(goal, window=replace(SIMPLE, bases=SIMPLE.bases[:2])).id


def test_a_source_that_is_gone_is_restored_from_what_is_remembered() -> None:
    gone = {"metadata": {"name": "cmp-postgres", "namespace": "cmp"}, "spec": CLUSTER["spec"], "status": {"image": "i"}}
    made = planned(cluster=gone, remembered="2026-11-26T02:30:00+00:00")
    assert body_of(made) == body_of(planned())
    assert made.facts["cluster uid"] == "gone"
    assert "2026-11-26T02:30:00+00:00" in made.shown["the source is gone"]


def test_the_plan_shows_the_window_by_each_ones_word_and_how_long_it_may_take() -> None:
    earlier = ({"backup_id": "base-1", "wal_bytes": SIZE, "seconds": {"fetch": 2.0, "replay": 3.0, "recovery": 45.0}},)
    shown = planned(earlier=earlier).shown
    assert {(row["what"], row["value"]) for row in shown["what can be restored"]} == {
        ("method", "plugin"),
        ("first moment", "early"),
        ("first moment", "2026-11-27 06:11:00+00:00"),
        ("timeline", "1"),
        ("last archived WAL", "000000010000000000000027"),
        ("last archived commit", "2026-11-27 06:39:30+00:00"),
    }
    assert shown["WAL segments to replay"] == 10
    assert shown["seconds until the primary serves, estimated"] == 2.0 + 30.0 + 40.0
    assert "no estimate yet" in planned().shown["time until the primary serves"]
    assert [kept.reason for kept in planned().kept] == ["the restore begins from it (it is the newest); it is only read"]


@pytest.mark.parametrize(
    ("params", "told"),
    [
        ({"time": "2026-11-27T06:00:00"}, "has no offset, so its instant is not known: expected RFC 3339 with Z or +hh:mm"),
        ({"time": "yesterday"}, "is no time: expected RFC 3339, such as 2026-11-23T13:46:47Z"),
        ({"lsn": "5"}, "expected two hexadecimal numbers, as in 0/402E3D0"),
        ({"lsn": "0/5", "proof": "newest"}, "lsn and proof are set: a restore has one goal"),
        ({"proof": "newest", "backup": "b"}, "a proof has its timeline and its base backup"),
        ({"transaction": 2**32}, "less than or equal to 4294967295"),
        ({"restore_point": "a\nb"}, "expected at most 63 bytes of printable characters"),
        ({"restore_point": "ü" * 40}, "expected at most 63 bytes of printable characters"),
        ({"storage": "20 GB"}, "is no quantity"),
        ({"storage": "0"}, "a volume of no bytes holds nothing"),
        ({"instances": 0}, "greater than or equal to 1"),
        ({"database": "nobody"}, "no database 'nobody' in platform.yaml"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_was_expected(params: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as refused:
        RestoreDatabase(**params)
    assert told in str(refused.value)


@given(st.dictionaries(st.sampled_from("abc"), st.dictionaries(st.sampled_from("xyz"), st.integers(0, 2), max_size=2), max_size=3))
def test_a_spec_has_no_difference_from_itself(value: dict[str, Any]) -> None:
    assert manifest.difference(value, value) == []
    assert manifest.difference(value, {**value, "new": 1}) == [{"field": "new", "source": "-", "restored": "1"}]


def test_every_secret_that_a_manifest_names_is_found() -> None:
    body = {
        "superuserSecret": {"name": "a"},
        "managed": {"roles": [{"name": "role", "passwordSecret": {"name": "b"}}]},
        "imagePullSecrets": [{"name": "c"}, {"name": "d"}],
        "bootstrap": {"recovery": {"secret": {"name": "e"}, "database": "no"}},
        "configuration": {"s3Credentials": {"accessKeyId": {"name": "f", "key": "K"}, "inheritFromIAMRole": False}},
        "storage": {"name": "not-a-secret"},
    }
    assert sorted(secrets_named(body)) == list("abcdef")
