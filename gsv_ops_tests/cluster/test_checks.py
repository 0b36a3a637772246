"""The database's page turns red by itself: its good conditions, judged by a job of their own on the real cluster."""

from pathlib import Path

import pytest
import yaml
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.restored import Seen

pytestmark = pytest.mark.cluster

EVERY = {
    "newest_backup_is_recent",
    "wal_is_archived",
    "heartbeat_is_written",
    "recovery_point_is_recent",
    "newest_proof_is_recent",
    "restored_rows_are_equal",
    "no_scratch_cluster_is_left",
    "every_replica_streams",
    "no_replica_is_behind",
    "no_slot_keeps_too_much_wal",
    "connections_are_left",
    "no_transaction_is_old",
    "no_wraparound_is_near",
    "no_table_is_bloated",
    "cluster_is_up",
    "primary_did_not_move_by_itself",
    "no_backup_failed_or_is_stuck",
    "scheduled_backups_are_taken",
}


def test_all_is_well_after_a_backup_and_its_proof(a_desk: ADesk, outside: Outside, first_proof: Seen) -> None:
    """Every condition holds, each with the number that is plotted."""
    assert first_proof.run.status == "SUCCESS", first_proof.run.failure
    # in a sandbox that is minutes old, no row may be in the archive yet of which it is known
    until(lambda: int(outside.psql(outside.primary(), "select count(*) from heartbeat", "gsv_ops")[0][0]) > 1, 150, "two heartbeats")
    outside.psql(outside.primary(), "select pg_switch_wal()")
    until(outside.healthy, 60, "the archive to be well")
    run = a_desk.run("check_database")
    assert run.status == "SUCCESS", run.failure
    assert set(run.checks) == EVERY
    for name, check in run.checks.items():
        assert check["success"], f"{name}: {check['description']}"
    assert run.checks["recovery_point_is_recent"]["metadata"]["seconds since the newest archived heartbeat"] < 660
    assert run.checks["every_replica_streams"]["metadata"]["streaming"] == 1
    assert isinstance(run.checks["newest_backup_is_recent"]["metadata"]["age in hours"], float)
    assert run.checks["newest_proof_is_recent"]["metadata"]["rows"] > 300_000


def test_the_page_turns_red_when_no_backup_and_no_proof_is_taken(
    a_desk: ADesk, first_proof: Seen, platform_file: Path, tmp_path: Path
) -> None:
    """With limits of a second the backup and the proof are too old already: what a night without a backup looks like."""
    assert first_proof.run.status == "SUCCESS", first_proof.run.failure
    body = yaml.safe_load(platform_file.read_text())
    body["databases"]["cmp_postgres"]["watch"] |= {
        "backup_warn_seconds": 1,
        "backup_error_seconds": 2,
        "proof_warn_seconds": 1,
        "proof_error_seconds": 10**9,
    }
    tight = tmp_path / "platform.yaml"
    tight.write_text(yaml.safe_dump(body, sort_keys=False))
    run: Run = a_desk.command_line("check_database", GSV_PLATFORM_FILE=str(tight))
    backup, proof = run.checks["newest_backup_is_recent"], run.checks["newest_proof_is_recent"]
    assert (backup["success"], backup["severity"]) == (False, "ERROR")
    assert (proof["success"], proof["severity"]) == (False, "WARN")
    assert run.checks["wal_is_archived"]["success"]


def test_what_cannot_be_read_is_red_too(a_desk: ADesk, sandbox_without_rights: dict[str, str]) -> None:
    """With an identity that may not read the login's Secret: unknown, with the reason, and never green."""
    run = a_desk.command_line("check_database", **sandbox_without_rights)
    for name in ("newest_backup_is_recent", "wal_is_archived"):
        check = run.checks[name]
        assert not check["success"]
        assert "unknown: " in check["description"]
        assert "secrets" in check["description"]


@pytest.fixture
def sandbox_without_rights(desk_environment: dict[str, str]) -> dict[str, str]:
    """The read-only identity's kubeconfig."""
    operator = Path(desk_environment["GSV_KUBECONFIG"])
    return {"GSV_KUBECONFIG": str(operator.with_name("readonly.yaml"))}
