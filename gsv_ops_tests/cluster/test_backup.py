"""backup_database, launched as an operator does, under the writer."""

import json

import pytest
from gsv_sandbox.runs import NotLaunched, Run
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, BACKUP_NODE, ADesk, asset_config, short
from gsv_ops_tests.cluster.fixtures import HURRIED
from gsv_ops_tests.cluster.outside import NAMESPACE, Outside

pytestmark = pytest.mark.cluster


def test_a_plan_shows_what_would_be_done_and_changes_nothing(a_desk: ADesk, outside: Outside) -> None:
    """Judged by what is in the namespace before and after."""
    before, wal = outside.everything_named(""), set(outside.wal_files())
    backups = outside.names("backups")
    run = a_desk.run("plan_backup_database")
    assert run.status == "SUCCESS", run.failure
    shown = run.outputs["plan"]
    assert shown["actions"] == 1
    assert shown["refused"] == 0
    assert shown["what would be done"][0]["do"] == "create"
    assert f"plan_id%3A%20{shown['plan']}" in shown["apply this plan"]
    assert outside.names("backups") == backups
    assert outside.everything_named("") == before
    assert not run.materialized
    # the writer goes on filling segments; a plan switches none by itself, so at most one more was closed meanwhile
    assert len(set(outside.wal_files()) - wal) <= 1


def test_a_backup_is_what_it_says(a_desk: ADesk, outside: Outside, first_backup: Run) -> None:
    """Judged by the Backup object, the store's directory, and the server."""
    said = first_backup.materialized[BACKUP_ASSET]
    mine = outside.list("backups", f"gsv-ops/run={first_backup.run_id}")
    assert [body["metadata"]["name"] for body in mine] == [said["backup"]]
    status = mine[0]["status"]
    assert status["phase"] == "completed"
    assert (status["backupId"], status["endWal"], status["endLSN"]) == (said["backup id"], said["end WAL"], said["end LSN"])
    assert said["size in bytes"] == outside.base_backup_bytes(said["backup id"]) > 20 * 2**20
    in_store = outside.wal_files()
    assert {said["begin WAL"], said["end WAL"]} <= set(in_store)
    primary = outside.primary()
    # the fingerprint lies after the backup, and the segment it lies in is in the store too
    segment = outside.value(primary, f"select pg_walfile_name('{said['fingerprint LSN']}')")
    assert outside.value(primary, f"select '{said['fingerprint LSN']}'::pg_lsn >= '{said['end LSN']}'::pg_lsn") == "t"
    assert segment in in_store
    assert said["system identifier"] == outside.value(primary, "select system_identifier from pg_control_system()")
    assert said["tables"] == len(outside.table_counts(primary))
    for number in ("size in bytes", "duration in seconds", "seconds until archived", "rows", "tables", "fingerprint in seconds"):
        assert isinstance(said[number], int | float), number
    for check in ("size_is_plausible", "wal_to_its_end_is_archived", "fingerprint_is_taken"):
        assert first_backup.checks[check]["success"], first_backup.checks[check]


def test_its_evidence_is_kept(a_desk: ADesk, first_backup: Run) -> None:
    """Who, which plan, what became of it, the verdict."""
    said = first_backup.materialized[BACKUP_ASSET]
    record = json.loads(next(a_desk.evidence.glob(f"evidence/*/{first_backup.run_id}-backup_database.json")).read_text())
    assert record["plan"]["id"] == said["plan"]
    assert record["plan"]["actions"][0]["verb"] == "create"
    assert record["outcomes"] == [{"verb": "create", "target": f"Backup {NAMESPACE}/{said['backup']}", "result": "done", "detail": ""}]
    assert record["verdict"]["status"] == "good"
    assert record["run_id"] == first_backup.run_id


def test_no_slot_and_no_session_of_it_stays(outside: Outside, first_backup: Run) -> None:
    """A slot that stays would fill the primary's volume with WAL."""
    primary = outside.primary()
    key = short(first_backup)
    assert outside.value(primary, f"select count(*) from pg_replication_slots where slot_name like 'gsv\\_{key}%'") == "0"
    assert outside.psql(primary, "select application_name from pg_stat_activity where usename = 'gsv_ops' and state like 'idle in%'") == []


def test_its_rows_are_those_of_the_source(outside: Outside, first_backup: Run, sandbox: Paths) -> None:
    """Counted by psql: the rows it says are those of the tables, up to what the writer wrote since."""
    counted = sum(outside.table_counts(outside.primary()).values())
    assert abs(counted - first_backup.materialized[BACKUP_ASSET]["rows"]) < 20_000
    assert counted > 300_000


def test_no_run_can_make_one_databases_asset_from_another(a_desk: ADesk) -> None:
    """Each database has a job of its own, and which one it is can nowhere be chosen."""
    with pytest.raises(NotLaunched, match='Received unexpected config entry "database"'):
        a_desk.run("backup_database", asset_config(BACKUP_NODE, {"database": HURRIED}))
