"""A replica is promoted only where every gate passes: what was seen of each is shown, and unknown is never good."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.database.conditions import Archive, Unseen
from gsv_ops.database.promotion import execute
from gsv_ops.database.promotion.observe import Seen, recovers_from
from gsv_ops.database.promotion.params import PromoteReplica
from gsv_ops.database.promotion.plan import plan
from gsv_ops.database.replication import Primary, Replay, Standby
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import FRAME, backup, changed, cluster
from gsv_ops_tests.unit.database.test_conditions import STATUS

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
A, B, C = "cmp-postgres-1", "cmp-postgres-2", "cmp-postgres-3"
GOOD = Replay(0.1, at_least=False, paused=False)
WELL = {"spec__instances": 3, "status__readyInstances": 3, "status__instanceNames": [A, B, C]}


def pod(name: str, ready: str = "True", deleted: str | None = None) -> Object:
    return {
        "metadata": {"name": name, "namespace": "cmp", "uid": f"u-{name}", **({"deletionTimestamp": deleted} if deleted else {})},
        "status": {"conditions": [{"type": "Ready", "status": ready}]},
    }


def standby(name: str, state: str = "streaming", behind: int = 0, unapplied: int = 0, sync: str = "async") -> Standby:
    return Standby(name, state, sync, behind, unapplied)


def primary(*standbys: Standby) -> Primary:
    return Primary(1000, 4, {found.name: found for found in standbys})


SEEN = Seen(
    cluster(**WELL),
    {name: pod(name) for name in (A, B, C)},
    (backup("b"),),
    (),
    (),
    primary(standby(B), standby(C, behind=3 << 20)),
    Archive(STATUS, last_is_in_store=True),
    {B: GOOD, C: GOOD},
)


def planned(seen: Seen = SEEN, instance: str = "") -> Plan:
    return plan(spec.load(None), seen, PromoteReplica(instance=instance), FRAME, NOW)


def said(made: Plan) -> str:
    return "; ".join(refusal.reason for refusal in made.refused)


def of(**changes: Any) -> Object:
    return cluster(**{**WELL, **changes})


def test_the_furthest_replica_is_promoted_by_one_patch_with_everything_it_relies_on() -> None:
    made = planned()
    assert said(made) == ""
    [action] = made.actions
    assert (action.verb, action.target.kind, action.target.uid) == ("patch", "Cluster", "u-cluster")
    assert action.body == {
        "status": {"targetPrimary": B, "phase": "Switchover in progress", "phaseReason": f"Switching over to {B}"},
    }
    assert action.guard["status.currentPrimary"] == action.guard["status.targetPrimary"] == A
    assert [str(kept.target) for kept in made.kept] == [f"Pod cmp/{C}"]
    assert {row["passes"] for row in made.shown["gates"]} == {"yes"}
    assert planned(instance=C).facts["instance"] == C


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"cluster": of(metadata__annotations={"cnpg.io/hibernation": "on"})}, "Suspended: it hibernates"),
        ({"cluster": of(metadata__annotations={"cnpg.io/fencedInstances": f'["{A}"]'})}, f"Suspended: fenced: {A}"),
        ({"cluster": of(status__phase="Switchover in progress")}, "Progressing: Switchover in progress"),
        ({"cluster": of(status__phase="something new")}, "Unknown: its phase is something new"),
        ({"cluster": of(status__readyInstances=2)}, "2 of 3 instances are ready"),
        ({"cluster": of(metadata__deletionTimestamp="2026-11-24T00:00:00Z")}, "deletion: asked for"),
        ({"cluster": of(status__conditions=[{"type": "Ready", "status": "True"}])}, "archiving, by the operator: it says nothing"),
        (
            {"cluster": of(status__conditions=[{"type": "Ready", "status": "True"}, {"type": "ContinuousArchiving", "status": "False"}])},
            "archiving, by the operator: ContinuousArchiving=False",
        ),
        ({"archive": Archive(STATUS, last_is_in_store=False)}, "it is not in the store"),
        ({"archive": Unseen("the store is away")}, "unknown: the store is away"),
        (
            {"archive": Archive(replace(STATUS, last_failed_time=NOW, last_failed_wal="0" * 24), last_is_in_store=True)},
            "the archiver's newest attempt failed",
        ),
        ({"backups": (backup("now", status={"phase": "running"}),)}, "backup: now is running"),
        ({"backups": (backup("now", status={}),)}, "backup: now is not begun"),
        ({"backups": (backup("now", status={"phase": "something new"}),)}, "backup: now is something new"),
        ({"jobs": ({"metadata": {"name": "cmp-postgres-3-join"}, "status": {"active": 1}},)}, "recovery: Job cmp-postgres-3-join"),
        ({"recovering": ({"metadata": {"name": "restored"}},)}, "recovery: Cluster restored"),
        ({"recovering": ({"metadata": {"name": "r", "labels": {"gsv-ops/operation": "restore_database"}}},)}, "recovery: Cluster r"),
        ({"pods": {A: pod(A), B: pod(B, "False"), C: pod(C, "False")}}, "instance: Ready=False"),
        ({"pods": {A: pod(A), B: pod(B, deleted="2026-11-24T12:00:00Z")}}, "instance: its pod is being deleted"),
        ({"pods": {A: pod(A)}}, "instance: no pod, or no Ready condition"),
        ({"primary": primary(standby(B, "catchup"), standby(C, "startup"))}, "replication: catchup; expected streaming"),
        ({"primary": primary()}, "the primary sends it nothing"),
        ({"primary": Unseen("no login")}, "replication: unknown: no login"),
        ({"primary": primary(standby(B, behind=17 << 20))}, f"not received: {17 << 20} bytes; expected at most {16 << 20} bytes"),
        ({"primary": primary(standby(B, unapplied=17 << 20))}, f"not applied: {17 << 20} bytes"),
        ({"replays": {B: Replay(11.0, at_least=False, paused=False)}}, "lag: 11.0 s; expected at most 10 s"),
        ({"replays": {B: Replay(4.0, at_least=True, paused=False)}}, "lag: at least 4.0 s"),
        ({"replays": {B: Replay(4.0, at_least=True, paused=True)}}, "replay: paused"),
        ({"replays": {B: Unseen("it does not answer")}}, "lag: unknown: it does not answer"),
        ({"replays": {}}, "lag: unknown: it was not asked"),
    ],
)
def test_one_gate_that_does_not_pass_refuses_it(change: dict[str, Any], told: str) -> None:
    made = planned(replace(SEEN, **change), B)
    assert told in said(made)
    assert made.actions == ()
    assert "NO" in {row["passes"] for row in made.shown["gates"]}


@pytest.mark.parametrize(
    ("instance", "told"),
    [
        (A, f"{A} is already the primary"),
        ("cmp-postgre-2", f"it has no instance 'cmp-postgre-2'; it has {A}, {B}, {C}. Did you mean"),
        ("other", f"it has no instance 'other'; it has {A}, {B}, {C}."),
    ],
)
def test_what_is_no_replica_of_it_is_not_promoted(instance: str, told: str) -> None:
    made = planned(instance=instance)
    assert (made.actions, len(made.refused)) == ((), 1)
    assert told in said(made)


def test_a_cluster_of_one_has_nothing_to_promote() -> None:
    alone = replace(
        SEEN, cluster=cluster(status__instanceNames=[A], status__readyInstances=1, spec__instances=1), primary=primary(), replays={}
    )
    assert "it has no replica to promote" in said(planned(alone))


@pytest.mark.parametrize("sync", ["sync", "quorum", "async", "potential"])
def test_where_commits_wait_for_a_replica_only_one_of_those_is_promoted(sync: str) -> None:
    waits = of(spec__postgresql={"synchronous": {"method": "any", "number": 1}})
    made = planned(replace(SEEN, cluster=waits, primary=primary(standby(B, sync=sync))), B)
    assert bool(made.actions) is (sync in ("sync", "quorum")), said(made)


@pytest.mark.parametrize("maker", ["prove_backup", "prove_point_in_time"])
def test_a_proof_that_goes_on_does_not_hold_up_an_emergency(maker: str) -> None:
    proof: Object = {"metadata": {"name": "cmp-postgres-proof-1", "labels": {"gsv-ops/operation": maker}}}
    made = planned(replace(SEEN, recovering=(proof,)))
    assert len(made.actions) == 1
    assert "1 proof reads the archive" in next(row["seen"] for row in made.shown["gates"] if row["gate"] == "recovery")


def test_what_moves_by_itself_is_no_part_of_the_plans_id() -> None:
    later = replace(
        SEEN,
        primary=Primary(2000, 4, {B: standby(B, unapplied=99), C: standby(C, behind=5 << 20)}),
        replays={B: Replay(2, False, False), C: GOOD},
    )
    assert planned(later).id == planned().id
    assert planned(later).shown != planned().shown
    assert Plan.from_json(planned().to_json()) == planned()


@given(behind=st.dictionaries(st.sampled_from([B, C]), st.integers(0, 1 << 30), min_size=2), ready=st.sets(st.sampled_from([B, C])))
def test_by_default_none_is_chosen_that_is_worse_than_another(behind: dict[str, int], ready: set[str]) -> None:
    seen = replace(
        SEEN,
        primary=primary(*(standby(name, behind=size) for name, size in behind.items())),
        pods={name: pod(name, str(name in ready or name == A)) for name in (A, B, C)},
    )
    chosen = planned(seen)
    eligible = {name for name in ready if behind[name] <= 16 << 20}
    assert bool(chosen.actions) is bool(eligible)
    if eligible:
        assert chosen.facts["instance"] in eligible
        assert behind[str(chosen.facts["instance"])] >> 20 == min(behind[name] >> 20 for name in eligible)


@pytest.mark.parametrize(
    ("changes", "recovers"),
    [
        ({}, True),
        ({"status__phase": "Cluster in healthy state"}, False),
        ({"spec__externalClusters": [{"name": "origin", "plugin": {"parameters": {"serverName": "another"}}}]}, False),
        ({"spec__bootstrap": {"initdb": {}}}, False),
        ({"metadata__uid": "u-cluster"}, False),
        ({"spec__bootstrap": {"recovery": {"backup": {"name": "b"}}}}, True),
    ],
)
def test_a_recovery_from_its_archive_is_seen(changes: dict[str, Any], recovers: bool) -> None:
    other: Object = {
        "metadata": {"name": "restored", "uid": "u-other"},
        "spec": {
            "bootstrap": {"recovery": {"source": "origin"}},
            "externalClusters": [{"name": "origin", "plugin": {"parameters": {"serverName": "cmp-postgres-7"}}}],
        },
        "status": {"phase": "Setting up primary"},
    }
    assert recovers_from(changed(other, changes), cluster()) is recovers


def test_the_patch_is_the_plugins_own_and_keeps_the_other_conditions() -> None:
    found = of(
        status__conditions=[
            {"type": "Ready", "status": "True", "lastTransitionTime": "2026-11-24T00:00:00Z"},
            {"type": "ContinuousArchiving", "status": "True", "reason": "x"},
        ]
    )
    status = execute.status_patch(found, B, NOW + timedelta(microseconds=7))["status"]
    assert (status["targetPrimary"], status["targetPrimaryTimestamp"]) == (B, "2026-11-24T12:00:00.000007Z")
    assert (status["phase"], status["phaseReason"]) == ("Switchover in progress", f"Switching over to {B}")
    assert status["conditions"] == [
        {"type": "ContinuousArchiving", "status": "True", "reason": "x"},
        {
            "type": "Ready",
            "status": "False",
            "reason": "ClusterIsNotReady",
            "message": "Cluster Is Not Ready",
            "lastTransitionTime": "2026-11-24T12:00:00Z",
        },
    ]
