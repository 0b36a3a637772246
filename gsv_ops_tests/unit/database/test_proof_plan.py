"""What proving a backup would be: which one, restored to where, into what; and why not now."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from gsv_ops.database import source
from gsv_ops.database.proof import scratch
from gsv_ops.database.proof.plan import ProofSnapshot, ProveBackup, choose, plan, why_no_room
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import CLUSTER, DATABASE, FRAME, OBJECT_STORE, backup, cluster

NOW = datetime(2026, 11, 24, tzinfo=UTC)
OLD, NEW = backup("old", "2026-11-22T14:03:44Z"), backup("new", "2026-11-23T14:03:44Z")
RUNNING = backup("running", status={"phase": "running"})
FAILED = backup("failed", "2026-11-23T20:00:00Z", status__phase="failed")
MUTE = backup("mute", "2026-11-23T21:00:00Z", status__beginWal=None)
API = (("10.1.0.1", 6443), ("fd00::1", 6443))


def taken(lsn: str = "0/5001000", timeline: int = 2, size: int = 2**20) -> dict[str, Any]:
    table = {"rows": 5, "sum": "1", "xor": "1", "bytes": size}
    fingerprint = {"lsn": lsn, "timeline": timeline, "system_identifier": "77", "tables": {"public.a": table, "public.b": table}}
    return {"fingerprint": fingerprint, "problem": ""}


def claim(role: str, size: str) -> Object:
    return {"metadata": {"name": f"c-{role}", "labels": {"cnpg.io/pvcRole": role}}, "spec": {"resources": {"requests": {"storage": size}}}}


def quota(**values: tuple[str, str]) -> Object:
    hard = {key: hard for key, (hard, _) in values.items()}
    return {"metadata": {"name": "team"}, "status": {"hard": hard, "used": {key: used for key, (_, used) in values.items()}}}


def planned(name: str = "", *, fingerprint_now: bool = False, **parts: Any) -> Plan:
    snapshot: dict[str, Any] = {
        "cluster": cluster(),
        "object_store": OBJECT_STORE,
        "backups": (OLD, RUNNING, NEW, FAILED, MUTE),
        "records": {"u-old": taken("0/4000000", 1), "u-new": taken()},
        "claims": (),
        "quotas": (),
        "api_servers": API,
    }
    return plan(spec.load(None), ProofSnapshot(**(snapshot | parts)), ProveBackup(backup=name, fingerprint_now=fingerprint_now), FRAME, NOW)


def reasons(made: Plan) -> list[str]:
    assert made.actions == () or made.refused == ()
    return [refusal.reason for refusal in made.refused]


def scratch_of(made: Plan) -> dict[str, Any]:
    body = made.actions[1].body
    assert body is not None
    return dict(body)


def test_the_newest_completed_backup_is_proven() -> None:
    made = planned()
    assert (made.facts["backup"], made.facts["backup uid"], made.facts["fingerprint"]) == (
        "new",
        "u-new",
        "fingerprints/cmp-cmp-postgres-agent_registry/u-new",
    )
    assert (made.facts["target LSN"], made.facts["target timeline"], made.facts["begin WAL"]) == (
        "0/5001000",
        2,
        "000000010000000000000003",
    )
    assert {kept.target.name: kept.reason for kept in made.kept} == {
        "old": "not proven in this run: a newer one is completed",
        "running": "not proven in this run: it is running, not completed",
        "failed": "not proven in this run: it is failed, not completed",
        "mute": "not proven in this run: its status does not say which WAL it covers",
    }


def test_the_named_backup_is_proven() -> None:
    made = planned("old")
    assert (made.facts["backup"], made.facts["target LSN"]) == ("old", "0/4000000")
    assert next(kept.reason for kept in made.kept if kept.target.name == "new") == "not proven in this run: another was named"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["completed", "failed", "running", ""])), max_size=6), st.integers(0, 7))
def test_only_a_completed_backup_is_ever_chosen_and_none_is_newer(stopped: list[tuple[int, str]], named: int) -> None:
    every = tuple(backup(f"b{n}", f"2026-11-23T14:{minute:02}:00Z", status__phase=phase) for n, (minute, phase) in enumerate(stopped))
    chosen, kept = choose(every, "" if named == 7 else f"b{named}")
    completed = [b for b in every if b["status"]["phase"] == "completed"]
    if named == 7:
        assert (chosen is None) == (not completed)
        assert chosen is None or all(b["status"]["stoppedAt"] <= chosen["status"]["stoppedAt"] for b in completed)
    else:
        assert chosen in ([b for b in completed if b["metadata"]["name"] == f"b{named}"] or [None])
    assert len(kept) == len(every) - (chosen is not None)


@pytest.mark.parametrize("name", ["running", "failed", "mute", "gone"])
def test_a_named_backup_that_is_not_completed_is_refused(name: str) -> None:
    assert reasons(planned(name)) == [f"Backup {name} is not completed; run backup_database first"]


def test_without_any_there_is_nothing_to_prove() -> None:
    assert reasons(planned(backups=(RUNNING,))) == ["there is no completed Backup; run backup_database first"]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"fingerprint": None, "problem": "pid 42 (user app) open for 900 s"}, "pid 42 (user app) open for 900 s"),
        (None, "it was not taken by backup_database of this desk"),
    ],
)
def test_without_a_fingerprint_it_is_inconclusive_before_it_begins(record: dict[str, Any] | None, why: str) -> None:
    made = planned(records={"u-new": record} if record else {})
    assert reasons(made) == [
        f"inconclusive: there is no fingerprint to compare a restore with ({why}); "
        "set fingerprint_now to take one of the source as it is now"
    ]
    assert made.refused[0].target.name == "new"


@pytest.mark.parametrize("records", [{}, {"u-new": {"fingerprint": None, "problem": "too slow"}}])
def test_a_fingerprint_may_be_taken_when_the_proof_runs(records: dict[str, Any]) -> None:
    made = planned(records=records, fingerprint_now=True)
    assert scratch_of(made)["spec"]["bootstrap"]["recovery"]["recoveryTarget"] == {"backupID": "id-new"}
    assert (made.facts["target LSN"], made.facts["target timeline"]) == (scratch.NOW, scratch.NOW)
    assert planned(fingerprint_now=True).facts["target LSN"] == "0/5001000", "the Backup's own is used where there is one"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"metadata__deletionTimestamp": "2026-11-23T14:03:44Z"}, "the source cluster is being deleted"),
        ({"status__targetPrimary": "cmp-postgres-2"}, "the source is switching over: phase 'Cluster in healthy state'"),
        (
            {"spec__plugins": None, "spec__backup": {"volumeSnapshot": {"className": "x"}}},
            "its backups are made by volumeSnapshot; no WAL position of one can be proven here",
        ),
        ({"spec__plugins": None}, "its backups are made by none; no WAL position of one can be proven here"),
        (
            {"spec__storage": {"storageClass": "x"}},
            "the size of the source's volumes is not known: expected spec.storage.size, or its Persist",
        ),
    ],
)
def test_a_source_that_cannot_be_restored_from_is_refused(changes: dict[str, Any], reason: str) -> None:
    [told] = reasons(planned(cluster=cluster(**changes)))
    assert told.startswith(reason)


GIB = 2**30
WITH_WAL_VOLUME = cluster(spec__walStorage={"size": "512Mi"}, spec__tablespaces=[{"name": "t", "storage": {"size": "512Mi"}}])


@pytest.mark.parametrize(
    ("size", "body", "claims", "quotas", "told"),
    [
        (447392426, cluster(), (), (), []),
        (447392428, cluster(), (), (), [f"the database has {GIB + 3} bytes with a margin of 20 %, the scratch volume only {GIB}"]),
        (GIB, cluster(), (claim("PG_DATA", "1Gi"), claim("PG_DATA", "4Gi")), (), []),
        (GIB, cluster(), (claim("PG_WAL", "40Gi"), claim("OTHER", "40Gi")), (), ["the database has"]),
        (1, cluster(), (), (quota(**{"requests.storage": ("10Gi", "9Gi")}),), []),
        (
            1,
            cluster(),
            (),
            (quota(**{"requests.storage": ("10Gi", "9217Mi")}),),
            [f"ResourceQuota team leaves no room: requests.storage 9217Mi of 10Gi used, {GIB} more needed"],
        ),
        (1, WITH_WAL_VOLUME, (), (quota(**{"requests.storage": ("10Gi", "8Gi"), "persistentvolumeclaims": ("5", "2")}),), []),
        (
            1,
            WITH_WAL_VOLUME,
            (),
            (quota(**{"requests.storage": ("10Gi", "9Gi"), "persistentvolumeclaims": ("4", "2")}),),
            [
                f"ResourceQuota team leaves no room: requests.storage 9Gi of 10Gi used, {2 * GIB} more needed",
                "ResourceQuota team leaves no room: persistentvolumeclaims 2 of 4 used, 3 more needed",
            ],
        ),
        (1, cluster(), (), (quota(**{"limits.cpu": ("1", "1")}), {"metadata": {"name": "new"}}), []),
    ],
)
def test_room(size: int, body: Object, claims: tuple[Object, ...], quotas: tuple[Object, ...], told: list[str]) -> None:
    found = reasons(planned(cluster=body, claims=claims, quotas=quotas, records={"u-new": taken(size=size)}))
    assert [reason[: len(expected)] for reason, expected in zip(found, told, strict=True)] == [
        expected[: len(reason)] for reason, expected in zip(found, told, strict=True)
    ]


def test_a_volume_that_has_grown_is_taken_at_its_real_size() -> None:
    body = scratch_of(planned(claims=(claim("PG_DATA", "4Gi"), claim("PG_DATA", "2Gi"))))
    assert body["spec"]["storage"] == {"size": "4Gi", "storageClass": "local-path", "resizeInUseVolumes": True}
    without_size = cluster(spec__storage={"storageClass": "x"})
    assert scratch_of(planned(cluster=without_size, claims=(claim("PG_DATA", "4Gi"),)))["spec"]["storage"]["size"] == "4Gi"
    assert why_no_room(without_size, taken()["fingerprint"], {"storage": "4Gi"}, (), DATABASE) == []


def test_the_scratch_cluster_is_complete(snapshot: SnapshotAssertion) -> None:
    assert scratch_of(planned()) == snapshot
    assert scratch_of(planned(cluster=WITH_WAL_VOLUME))["spec"]["walStorage"] == {"size": "512Mi"}


def test_the_scratch_cluster_of_an_in_tree_backup(snapshot: SnapshotAssertion) -> None:
    store = OBJECT_STORE["spec"]["configuration"] | {"wal": {"compression": "gzip"}}
    in_tree = cluster(spec__plugins=None, spec__backup={"barmanObjectStore": store, "retentionPolicy": "7d"})
    assert scratch_of(planned(cluster=in_tree, object_store=None))["spec"]["externalClusters"] == snapshot


def test_the_scratch_cluster_archives_nothing_and_follows_nobody() -> None:
    for source_cluster in (cluster(), cluster(spec__plugins=None, spec__backup={"barmanObjectStore": {"destinationPath": "s3://b/"}})):
        body = scratch_of(planned(cluster=source_cluster))["spec"]
        assert not {"plugins", "backup", "replica", "managed", "superuserSecret", "monitoring", "replicationSlots"} & set(body)
        assert body["instances"] == 1
        assert (body["enablePDB"], body["enableSuperuserAccess"]) == (False, False)
        assert "pg_hba" not in body["postgresql"]
        assert body["bootstrap"]["recovery"]["recoveryTarget"] == {
            "backupID": "id-new",
            "targetLSN": "0/5001000",
            "targetTLI": "2",
            "exclusive": True,
        }


def egress(policy: dict[str, Any]) -> list[dict[str, Any]]:
    return list(policy["spec"]["egress"])


def test_nothing_restored_can_call_out(snapshot: SnapshotAssertion) -> None:
    policy = planned().actions[0].body
    assert policy is not None
    assert policy == snapshot
    for rule in egress(dict(policy)):
        assert rule.get("ports") or rule["to"] == [{"podSelector": {"matchLabels": {"cnpg.io/cluster": "cmp-postgres-proof-{run}"}}}]
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]


@pytest.mark.parametrize(
    ("url", "rule"),
    [
        ("http://10.88.0.1:9300", {"to": [{"ipBlock": {"cidr": "10.88.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 9300}]}),
        ("https://10.88.0.1", {"to": [{"ipBlock": {"cidr": "10.88.0.1/32"}}], "ports": [{"protocol": "TCP", "port": 443}]}),
        ("http://store.example.com", {"ports": [{"protocol": "TCP", "port": 80}]}),
        ("https://store.example.com:9000/x", {"ports": [{"protocol": "TCP", "port": 9000}]}),
        (None, {"ports": [{"protocol": "TCP", "port": 443}]}),
    ],
)
def test_the_way_to_the_store(url: str | None, rule: dict[str, Any]) -> None:
    assert egress(scratch.network_policy("n", "cnpg-system", API, url))[-1] == rule


def test_the_policy_goes_before_the_cluster_and_both_are_named_after_the_run() -> None:
    made = planned()
    assert [(action.verb, str(action.target)) for action in made.actions] == [
        ("create", "NetworkPolicy cmp/cmp-postgres-proof-{run}"),
        ("create", "Cluster cmp/cmp-postgres-proof-{run}"),
    ]
    assert made.actions[1].reason == (
        "restore base backup id-new and replay its WAL to just before 0/5001000 on timeline 2, one instance, 1Gi, archiving nothing"
    )


def test_a_switchover_of_the_source_does_not_move_the_plan() -> None:
    moved = cluster(status__currentPrimary="cmp-postgres-2", status__targetPrimary="cmp-postgres-2")
    assert planned(cluster=moved).id == planned().id
    assert planned(cluster=cluster(status__image="localhost/postgresql:15.21")).id != planned().id
    assert source.facts(CLUSTER)["primary"] == "cmp-postgres-1"
