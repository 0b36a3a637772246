"""restore_database, launched as an operator does, under the writer: to a moment between two writes, its worker killed on the way."""

import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.runs import Run
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, ADesk, short
from gsv_ops_tests.cluster.fault_table import restores
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.left import left_of
from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, DATABASE, NAMESPACE, Outside, until
from gsv_ops_tests.cluster.restored import Seen

pytestmark = pytest.mark.cluster

NAME = "cmp-postgres-then"
RESTORE_SECONDS = 300
NOTICED_SECONDS = 90
"""Until Dagster's monitor sees that a worker is gone: it looks every 30 s."""


@dataclass(frozen=True)
class Restored:
    """A restore to between two writes: what was planned, the run that was killed, the one that went on, and the Cluster's first uid."""

    between: datetime
    plan: dict[str, Any]
    killed: Run
    run: Run
    uid: str


def planned(a_desk: ADesk, **config: Any) -> dict[str, Any]:
    """What the plan shows."""
    run = a_desk.run("restore_database", config)
    assert run.status == "SUCCESS", run.failure
    found: dict[str, Any] = run.outputs["plan"]
    return found


def refusals(plan: dict[str, Any]) -> str:
    """Why a plan cannot be applied."""
    assert plan["refused"] > 0, plan["what would be done"]
    assert plan["actions"] == 0
    return " ".join(row["why"] for row in plan["refusals"])


def archive_everything(outside: Outside) -> datetime:
    """Close the WAL segment being written and wait until it is in the store; the database's time right after it was closed."""
    pod = outside.primary()
    segment, now = outside.value(pod, "select pg_walfile_name(pg_switch_wal()) || '|' || now()").split("|")
    until(lambda: segment in outside.wal_files(), 60, f"{segment} to be archived")
    return datetime.fromisoformat(now)


def drop(outside: Outside, name: str) -> None:
    """Take a restored cluster down, and everything it has put into the store."""
    with suppress(ApiException):
        outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", name)
    for backup in outside.list("backups", "gsv-ops/operation=restore_database"):
        if backup["spec"]["cluster"]["name"] == name:
            outside.custom.delete_namespaced_custom_object(*CNPG, NAMESPACE, "backups", backup["metadata"]["name"])
    until(lambda: not outside.everything_named(f"{name}-"), 90, f"nothing of {name} to be left")
    for folder in outside.store.glob(f"{name}-*"):
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def restored(a_desk: ADesk, outside: Outside, first_backup: Run) -> Iterator[Restored]:
    """The restore, made once; taken down at the end."""
    pod = outside.primary()
    outside.psql(pod, "drop table if exists public.restore_test")
    try:
        outside.psql(pod, "create table public.restore_test (said text)")
        outside.psql(pod, "insert into public.restore_test values ('before')")
        between = datetime.fromisoformat(outside.value(pod, "select clock_timestamp() from pg_sleep(0.2)"))
        outside.psql(pod, "select pg_sleep(0.2); insert into public.restore_test values ('after')")
        archive_everything(outside)
        config = {"time": between.isoformat(), "name": NAME, "instances": 1}
        plan = planned(a_desk, **config)
        killed = a_desk.launch("restore_database", {**config, "mode": "apply", "plan_id": plan["plan"]})
        until(lambda: NAME in outside.names("clusters"), 60, f"Cluster {NAME}")
        uid = outside.get("clusters", NAME)["metadata"]["uid"]
        a_desk.kill(killed)
        a_desk.follow(killed, NOTICED_SECONDS)
        assert killed.status == "FAILURE"
        run = a_desk.follow(a_desk.again(killed), RESTORE_SECONDS)
        yield Restored(between, plan, killed, run, uid)
    finally:
        outside.psql(outside.primary(), "drop table if exists public.restore_test")
        drop(outside, NAME)


def test_what_was_written_before_is_there_and_what_was_written_after_is_not(restored: Restored, outside: Outside) -> None:
    """By psql in the restored pod."""
    assert restored.run.status == "SUCCESS", restored.run.failure
    assert outside.psql(f"{NAME}-1", "select said from public.restore_test") == [["before"]]
    newest = outside.value(f"{NAME}-1", "select max(at) from public.heartbeat", "gsv_ops")
    assert datetime.fromisoformat(newest) < restored.between


def test_the_run_that_goes_on_adopts_the_cluster_of_the_killed_one(restored: Restored, outside: Outside) -> None:
    """And makes no second one, and one backup."""
    body = outside.get("clusters", NAME)
    assert body["metadata"]["uid"] == restored.uid
    assert body["metadata"]["labels"]["gsv-ops/run"] == restored.killed.run_id
    assert len(outside.list("backups", f"gsv-ops/run={restored.killed.run_id}")) == 1


def test_every_question_about_it_was_answered_with_yes(restored: Restored) -> None:
    """Login, identity, timeline, instances, replicas, backup, heartbeats."""
    said = restored.run.outputs["verify"]
    assert said["verdict"] == "good"
    assert {row["asked"]: row["answer"] for row in said["answers"]} == dict.fromkeys(
        (
            "application_role_logs_in",
            "system_identifier_is_the_sources",
            "timeline_was_followed",
            "heartbeats_end_at_the_goal",
            "every_instance_is_ready",
            "replicas_stream",
            "first_backup_is_in_its_own_archive",
        ),
        "yes",
    )
    assert said["from serving to checked in seconds"] > 0


def test_the_applications_role_logs_in_with_the_new_password_through_the_new_service(restored: Restored, outside: Outside) -> None:
    """By psycopg from here; the old password is refused."""
    service = outside.core.read_namespaced_service(f"{NAME}-rw", NAMESPACE).spec.cluster_ip
    new, old = outside.secret(f"{NAME}-app"), outside.secret(f"{CLUSTER}-app")
    assert new["password"] != old["password"]
    login = {"host": service, "dbname": DATABASE, "user": new["username"], "connect_timeout": 10}
    with psycopg.connect(**login, password=new["password"]) as session:
        assert session.execute("select pg_is_in_recovery()").fetchone() == (False,)
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(**login, password=old["password"])


def test_it_archives_into_a_path_of_its_own_and_nothing_into_the_sources(restored: Restored, outside: Outside) -> None:
    """On the store's disk."""
    own = f"{NAME}-{short(restored.killed)}"
    timeline = int(outside.value(f"{NAME}-1", "select timeline_id from pg_control_checkpoint()"))
    source = int(outside.value(outside.primary(), "select timeline_id from pg_control_checkpoint()"))
    assert timeline == source + 1
    assert list((outside.store / own / "base").glob("*/backup.info"))
    assert {name[:8] for name in outside.wal_files(own)} == {f"{timeline:08X}"}
    assert not [name for name in outside.wal_files() if name.startswith(f"{timeline:08X}")]


def test_the_sweeper_leaves_it_alone(restored: Restored, a_desk: ADesk, outside: Outside) -> None:
    """It has no expiry, and no proof made it."""
    assert "gsv-ops/expires" not in (outside.get("clusters", NAME)["metadata"].get("annotations") or {})
    plan = a_desk.run("sweep_scratch_clusters", {"mode": "plan"}).outputs["plan"]
    assert not [row for table in ("what would be done", "what is left alone") for row in plan.get(table, []) if NAME in row["target"]]


def test_the_plan_shows_what_would_be_restored_from_what(restored: Restored, first_backup: Run) -> None:
    """The window by each one's word, the base backup, the WAL, the difference, what is different afterwards."""
    shown = restored.plan
    assert {row["what"] for row in shown["what can be restored"]} >= {
        "first moment",
        "timeline",
        "last archived WAL",
        "last archived commit",
    }
    assert sum(row["used"].startswith("yes") for row in shown["base backups in the store"]) == 1
    assert first_backup.materialized[BACKUP_ASSET]["backup id"] in {row["id"] for row in shown["base backups in the store"]}
    assert shown["WAL segments to replay"] > 0
    changed = {row["field"]: (row["source"], row["restored"]) for row in shown["difference from the source"]}
    assert changed["instances"] == ("2", "1")
    assert {"plugins", "externalClusters", "bootstrap.recovery.recoveryTarget.targetTime"} <= changed.keys()
    assert "postgresql.parameters.max_connections" not in changed
    assert f"{NAME}-app: a new password" in {row["restored"] for row in shown["different afterwards"]}


def test_a_name_that_is_taken_is_refused(restored: Restored, a_desk: ADesk) -> None:
    """Before anything is made."""
    told = refusals(planned(a_desk, name=NAME))
    assert f"Cluster {NAMESPACE}/{NAME} exists; expected the name to be free" in told


def test_one_second_past_the_last_archived_commit_is_refused_with_the_nearest(a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """And that nearest one would be restored."""
    closed = archive_everything(outside)
    plan = planned(a_desk, time=(closed + timedelta(seconds=1)).isoformat(), name="cmp-postgres-late")
    told = refusals(plan)
    assert "is not before the last commit in the archive" in told
    nearest = datetime.fromisoformat(told.split("the nearest that is known to be reachable is ")[1][:32])
    assert closed - timedelta(seconds=10) < nearest < closed
    assert planned(a_desk, time=nearest.isoformat(), name="cmp-postgres-late")["refused"] == 0
    ahead = planned(a_desk, time=(datetime.now(UTC) + timedelta(days=1)).isoformat())
    assert "lies in the future; the nearest that is known to be reachable is" in refusals(ahead)
    assert "lies before the end of the first base backup" in refusals(planned(a_desk, time="2020-01-01T00:00:00Z"))


@expects(restores.TARGET_PAST)
def test_it_is_refused_too_when_it_is_applied(row: Row, a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """By the plan that refused it; nothing is made."""
    config = {"time": (archive_everything(outside) + timedelta(seconds=1)).isoformat(), "name": "cmp-postgres-late"}
    plan = planned(a_desk, **config)
    with row.timed():
        run = a_desk.run("restore_database", {**config, "mode": "apply", "plan_id": plan["plan"]})
    row.judge(run, left_of(outside, run))
    assert "cmp-postgres-late" not in outside.names("clusters")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"time": "2026-11-27T06:00:00"}, "has no offset, so its instant is not known: expected RFC 3339 with Z or +hh:mm"),
        ({"time": "2026-11-27T06:00:00Z", "lsn": "0/5"}, "time and lsn are set: a restore has one goal"),
        ({"lsn": "5"}, "expected two hexadecimal numbers, as in 0/402E3D0"),
    ],
)
def test_a_goal_that_cannot_be_meant_makes_no_run(a_desk: ADesk, config: dict[str, Any], told: str) -> None:
    """It says what was expected."""
    with pytest.raises(SandboxError) as refused:
        a_desk.launch("restore_database", config)
    assert told in str(refused.value)


def test_without_a_plan_that_was_read_nothing_is_restored(a_desk: ADesk, outside: Outside) -> None:
    """Mode `apply` alone is refused."""
    run = a_desk.run("restore_database", {"mode": "apply", "name": "cmp-postgres-unread"})
    assert run.status == "FAILURE"
    assert "restore_database is only applied by a plan that was read before" in run.failure
    assert "cmp-postgres-unread" not in outside.names("clusters")


def test_as_of_a_proof_is_its_position_timeline_and_base_backup(a_desk: ADesk, first_proof: Seen) -> None:
    """Planned only."""
    said = first_proof.run.materialized["database/cmp_postgres/proof"]
    plan = planned(a_desk, proof=said["backup"])  # not by its run: the Backup may have been proven again meanwhile
    assert plan["refused"] == 0, refusals(plan)
    for part in (f'targetLSN: "{said["target LSN"]}"', "exclusive: true", f'backupID: "{said["backup id"]}"'):
        assert part in plan["manifest"]
    assert "no proof 'p' is known here; proven Backups: " in refusals(planned(a_desk, proof="p"))


@pytest.mark.faults
def test_everything_that_is_archived_comes_back_on_two_instances(a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """The end of the WAL: every commit from before it was closed, a replica that streams."""
    name = "cmp-postgres-whole"
    newest = int(outside.value(outside.primary(), "select max(number) from gsv_writer.commits"))
    archive_everything(outside)
    plan = planned(a_desk, name=name)
    try:
        run = a_desk.run("restore_database", {"name": name, "mode": "apply", "plan_id": plan["plan"]}, 2 * RESTORE_SECONDS)
        assert run.status == "SUCCESS", run.failure
        found = int(outside.value(outside.primary(name), "select max(number) from gsv_writer.commits"))
        missing = f"select count(*) from generate_series(1, {newest}) n where n in (select number from gsv_writer.commits)"
        here, there = outside.value(outside.primary(name), missing), outside.value(outside.primary(), missing)
        assert (found >= newest, here) == (True, there)
        assert outside.value(outside.primary(name), "select count(*) from pg_stat_replication where state = 'streaming'") == "1"
    finally:
        drop(outside, name)
