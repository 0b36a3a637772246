"""A promotion by the desk: nothing that was acknowledged is missing, twice at once does no harm, and what must not be is refused."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from gsv_sandbox import database, writer
from gsv_sandbox.api import Api
from gsv_sandbox.runs import Run
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, NAMESPACE, Outside, until

pytestmark = pytest.mark.cluster

PROMOTION_SECONDS = 300
HEARTBEATS = "select count(*) from public.heartbeat"
TIMELINE = "select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int"
FENCED = "cnpg.io/fencedInstances"


def planned(a_desk: ADesk, **config: str) -> dict[str, Any]:
    """What a run that only plans shows."""
    run = a_desk.run("promote_replica", {"mode": "plan", **config})
    assert run.status == "SUCCESS", run.failure
    shown: dict[str, Any] = run.outputs["plan"]
    return shown


def gates(shown: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {row["gate"]: (row["passes"], row["seen"]) for row in shown["gates"]}


def refusals(shown: dict[str, Any]) -> str:
    return "; ".join(row["why"] for row in shown["refusals"])


def promoted(a_desk: ADesk, plan: str, times: int = 1, **config: str) -> list[Run]:
    """So many runs at once by one plan, all ended."""
    launched = [a_desk.launch("promote_replica", {"mode": "apply", "plan_id": plan, **config}) for _ in range(times)]
    for run in launched:
        a_desk.follow(run, PROMOTION_SECONDS)
    return launched


def roles(outside: Outside) -> dict[str, str]:
    pods = outside.core.list_namespaced_pod(NAMESPACE, label_selector=f"cnpg.io/cluster={CLUSTER},cnpg.io/podRole=instance").items
    return {pod.metadata.name: pod.metadata.labels["cnpg.io/instanceRole"] for pod in pods}


def front_door(outside: Outside) -> list[str]:
    subsets = outside.core.read_namespaced_endpoints(f"{CLUSTER}-rw", NAMESPACE).subsets or []
    return [address.target_ref.name for subset in subsets for address in subset.addresses or []]


def streaming(outside: Outside) -> list[list[str]]:
    return outside.psql(outside.primary(), "select application_name, state from pg_stat_replication")


def lost(sandbox: Paths) -> list[int]:
    login = database.login(Api(sandbox.kubeconfig("admin")))
    return writer.lost(login.arguments(), sandbox.data / "writer-commits.txt")


def test_a_promotion_loses_nothing_and_leads_back(a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    """Under the writer, by one plan twice at once: one promotes, the other finds that the cluster has moved on. Then back."""
    until(outside.healthy, 180, f"{CLUSTER} to be whole")
    former = outside.primary()
    (replica,) = set(roles(outside)) - {former}
    timeline = int(outside.psql(former, TIMELINE)[0][0])
    until(lambda: int(outside.psql(former, HEARTBEATS, "gsv_ops")[0][0]), 150, "the first heartbeat")
    shown = planned(a_desk)
    assert (shown["actions"], shown["refused"]) == (1, 0), refusals(shown)
    assert all(passes == "yes" for passes, _ in gates(shown).values())

    good, bad = sorted(promoted(a_desk, shown["plan"], 2), key=lambda run: run.status, reverse=True)
    assert (good.status, bad.status) == ("SUCCESS", "FAILURE"), (good.failure, bad.failure)
    assert "Changed: nothing." in bad.failure
    said = good.outputs["verify"]
    assert (said["primary"], said["timeline"], said["commits missing"]) == (replica, timeline + 1, 0)
    assert 0 < said["write outage in seconds"] < 60
    assert said["commits acknowledged"] > 20

    assert roles(outside) == {replica: "primary", former: "replica"}
    assert front_door(outside) == [replica]
    assert int(outside.psql(replica, TIMELINE)[0][0]) == timeline + 1
    assert streaming(outside) == [[former, "streaming"]]
    assert lost(sandbox) == []

    back = planned(a_desk, instance=former)
    assert (back["actions"], back["refused"]) == (1, 0), refusals(back)
    (run,) = promoted(a_desk, back["plan"], instance=former)
    assert run.status == "SUCCESS", run.failure
    assert roles(outside) == {replica: "replica", former: "primary"}
    assert lost(sandbox) == []


def test_what_must_not_be_promoted_is_refused_with_what_was_seen(a_desk: ADesk, outside: Outside) -> None:
    """Without a plan; a name that is nearly one; the primary itself; a replica whose replay stands still."""
    until(outside.healthy, 180, f"{CLUSTER} to be whole")
    former, before = outside.primary(), outside.get("clusters", CLUSTER)["status"]
    (replica,) = set(roles(outside)) - {former}
    unread = a_desk.run("promote_replica", {"mode": "apply"})
    assert unread.status == "FAILURE"
    assert "only applied by a plan that was read before" in unread.failure

    near = planned(a_desk, instance=replica.replace("postgres", "postgre"))
    assert f"Did you mean {former}, {replica}" in refusals(near) or f"Did you mean {replica}" in refusals(near)
    assert f"{former} is already the primary" in refusals(planned(a_desk, instance=former))

    with replay_paused(outside, replica):
        shown = planned(a_desk)
    assert gates(shown)["replay"] == ("NO", "paused")
    assert gates(shown)["lag"][0] == "NO", gates(shown)
    assert "apply this plan" not in shown
    now = outside.get("clusters", CLUSTER)["status"]
    assert (now["targetPrimary"], now["currentPrimary"]) == (before["targetPrimary"], before["currentPrimary"]) == (former, former)


def test_a_fenced_replica_is_refused(a_desk: ADesk, outside: Outside) -> None:
    """The cluster is not healthy then, the replica not Ready, and the primary sends it nothing."""
    until(outside.healthy, 180, f"{CLUSTER} to be whole")
    (replica,) = set(roles(outside)) - {outside.primary()}
    with fenced(outside, replica):
        until(lambda: not streaming(outside), 60, f"{replica} to be stopped")
        shown = planned(a_desk)
    assert (shown["actions"], gates(shown)["cluster"]) == (0, ("NO", f"Suspended: fenced: {replica}"))
    assert gates(shown)["replication"] == ("NO", "the primary sends it nothing")
    until(outside.healthy, 180, f"{CLUSTER} to be whole again")


@contextmanager
def replay_paused(outside: Outside, replica: str) -> Iterator[None]:
    outside.psql(replica, "select pg_wal_replay_pause()", "postgres")
    try:
        until(lambda: outside.psql(replica, "select pg_get_wal_replay_pause_state()", "postgres") == [["paused"]], 20, "the pause")
        yield
    finally:
        outside.psql(replica, "select pg_wal_replay_resume()", "postgres")


@contextmanager
def fenced(outside: Outside, instance: str) -> Iterator[None]:
    def annotate(value: str | None) -> None:
        body = {"metadata": {"annotations": {FENCED: value}}}
        outside.custom.patch_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", CLUSTER, body)

    annotate(f'["{instance}"]')
    try:
        yield
    finally:
        annotate(None)
