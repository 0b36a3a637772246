"""What backup_database says when the database or its store does not play along."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from gsv_sandbox import objectstore, platform
from gsv_sandbox.processes import Processes
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_ASSET, ADesk
from gsv_ops_tests.cluster.fixtures import HURRIED, LIMITS
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until
from gsv_ops_tests.cluster.test_proof_faults import FOUR_LINES

pytestmark = pytest.mark.cluster


def test_an_old_open_transaction_costs_the_fingerprint_and_is_named(a_desk: ADesk, outside: Outside) -> None:
    """In another database of the server. The backup is good, it says who is in the way, and its proof is refused as inconclusive."""
    begun = time.monotonic()
    with outside.open_transaction(outside.primary(), "forgotten") as pid:
        run = a_desk.backup()
        took = time.monotonic() - begun
        assert outside.value(outside.primary(), f"select count(*) from pg_stat_activity where pid = {pid}") == "1", "it was let be"
    assert took < 60 + LIMITS["fingerprint"]["slot_seconds"]
    assert run.status == "SUCCESS", run.failure
    said = run.materialized[BACKUP_ASSET]
    check = run.checks["fingerprint_is_taken"]
    assert (check["success"], check["severity"]) == (False, "WARN")
    assert f"pid {pid} (user postgres, database postgres, application forgotten, idle in transaction)" in check["description"]
    assert run.checks["wal_to_its_end_is_archived"]["success"]
    assert "fingerprint LSN" not in said
    assert outside.get("backups", said["backup"])["status"]["phase"] == "completed"
    slots = "select count(*) from pg_replication_slots where slot_name like 'gsv%'"
    until(lambda: outside.value(outside.primary(), slots) == "0", 10, "no slot to be left")

    proof = a_desk.follow(a_desk.proof(backup=said["backup"]))
    assert proof.status == "FAILURE"
    assert PROOF_ASSET not in proof.materialized
    assert "inconclusive" in proof.failure
    assert f"pid {pid} (user postgres" in proof.failure
    assert "Changed: nothing." in proof.failure
    assert not outside.names("clusters", f"gsv-ops/run={proof.run_id}")


def archives_again(outside: Outside) -> None:
    """Wait until it does. A segment that ends wakes the archiver, which else rests for a minute after three failures."""
    outside.psql(outside.primary(), "select pg_switch_wal()")
    until(outside.healthy, 150, f"{CLUSTER} to archive again")


@contextmanager
def no_wal_taken(outside: Outside) -> Iterator[None]:
    """A store that takes base backups and no WAL of cmp-postgres: a file stands where its folder was."""
    wals = outside.store / CLUSTER / "wals"
    aside = wals.with_name("wals-aside")
    wals.rename(aside)
    wals.write_text("nothing can be put below a file")
    try:
        yield
    finally:
        wals.unlink()
        aside.rename(wals)
        archives_again(outside)


def test_a_completed_backup_whose_wal_is_not_in_the_store_does_not_count(a_desk: ADesk, outside: Outside) -> None:
    """The operator says completed and knows of nothing; the store has the last word."""
    with no_wal_taken(outside):
        run = a_desk.backup(database=HURRIED)
        made = outside.list("backups", f"gsv-ops/run={run.run_id}")
        assert [body["status"]["phase"] for body in made] == ["completed"], f"else this shows nothing: {run.failure}"
    assert run.status == "FAILURE"
    assert not run.materialized
    assert "is not in the object store after " in run.failure, run.failure
    assert "its newest attempt failed" in run.failure
    assert all(line in run.failure for line in FOUR_LINES)
    assert f"Changed: create Backup cmp/{made[0]['metadata']['name']}." in run.failure


@contextmanager
def no_object_store(outside: Outside, sandbox: Paths) -> Iterator[None]:
    """The store's process is ended, and started again afterwards as it was."""
    processes = Processes(sandbox)
    pid = processes.pid(objectstore.NAME)
    assert pid is not None, "the store does not run"
    binaries = Path(f"/proc/{pid}/exe").readlink().parent
    processes.stop(objectstore.NAME)
    try:
        yield
    finally:
        objectstore.up(sandbox, binaries, processes, platform.buckets(platform.overlay()))
        archives_again(outside)


def test_without_its_object_store_a_backup_fails_and_says_so(a_desk: ADesk, outside: Outside, sandbox: Paths) -> None:
    """Within its deadlines, with the cause from the pod's log, and it is known what there is of it."""
    begun = time.monotonic()
    with no_object_store(outside, sandbox):
        run = a_desk.backup()
        took = time.monotonic() - begun
    assert run.status == "FAILURE"
    assert BACKUP_ASSET not in run.materialized
    assert took < 150
    assert "10.88.0.1:9300" in run.failure, run.failure
    assert all(line in run.failure for line in FOUR_LINES), run.failure
    made = outside.names("backups", f"gsv-ops/run={run.run_id}")
    assert len(made) == 1, "what it made is known by its label"
    assert f"Changed: create Backup cmp/{made.pop()}." in run.failure
