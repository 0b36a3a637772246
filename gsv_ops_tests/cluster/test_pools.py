"""Nothing urgent waits behind a proof: pools are apart, and what does wait says for what."""

import time

import pytest
from gsv_sandbox import desk

from gsv_ops_tests.cluster.a_desk import PROOF_SECONDS, ADesk
from gsv_ops_tests.cluster.outside import until

pytestmark = pytest.mark.cluster

AT_ONCE_SECONDS = 45
BLOCKED = """
query Blocked($runId: ID!) {
  logsForRun(runId: $runId, limit: 200) { ... on EventConnection { events { ... on MessageEvent { message } } } }
}
"""


def test_a_backup_and_a_sweep_start_while_proofs_run_and_wait(a_desk: ADesk, backup_name: str) -> None:
    """Two proofs: one runs, one waits for its pool and says so, and begins once it is free. A backup launched behind both ends before."""
    running = a_desk.proof(backup=backup_name)
    a_desk.wait_line(running, "restoring Backup", 60)
    waiting = a_desk.proof(backup=backup_name)
    until(
        lambda: _says(a_desk, waiting.run_id, "blocked by limit for pool database_proof"), 60, "the second proof to say what it waits for"
    )
    begun = time.monotonic()
    urgent = a_desk.launch("backup_database")
    a_desk.wait_line(urgent, "Backup cmp/", AT_ONCE_SECONDS)
    assert time.monotonic() - begun < AT_ONCE_SECONDS
    swept = a_desk.run("sweep_scratch_clusters", {"mode": "apply"})
    assert swept.status == "SUCCESS", swept.failure
    assert a_desk.follow(urgent).status == "SUCCESS", urgent.failure
    assert not a_desk.refresh(running).ended, "the first proof was over before, so this shows nothing"
    assert not any("restoring Backup" in line for line in a_desk.refresh(waiting).lines)
    a_desk.cancel(running)
    a_desk.wait_line(waiting, "restoring Backup", PROOF_SECONDS)
    a_desk.cancel(waiting)
    for proof in (running, waiting):
        assert a_desk.follow(proof, PROOF_SECONDS).status == "CANCELED"


def _says(a_desk: ADesk, run_id: str, part: str) -> bool:
    events = desk.ask(BLOCKED, {"runId": run_id}, a_desk.environment)["logsForRun"]["events"]
    return any(part in event.get("message", "") for event in events)
