"""prove_backup, launched as an operator does, under the writer."""

import json

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import BACKUP_ASSET, PROOF_ASSET, ADesk
from gsv_ops_tests.cluster.outside import CLUSTER, NAMESPACE, Outside, until
from gsv_ops_tests.cluster.restored import DIGEST_OF_UNTOUCHED, Seen, scratch_of

pytestmark = pytest.mark.cluster


def test_it_is_proven_by_rows_that_psql_counted_too(first_proof: Seen) -> None:
    """The total and the number of tables that it says are those that psql counted in the restored database."""
    assert first_proof.run.status == "SUCCESS", first_proof.run.failure
    said = first_proof.run.materialized[PROOF_ASSET]
    assert said["verdict"] == "proven"
    assert said["rows"] == sum(first_proof.counts.values()) > 300_000
    assert said["tables"] == len(first_proof.counts) > 20
    for check in ("restored_rows_are_equal", "nothing_is_left_of_the_proof"):
        assert first_proof.run.checks[check]["success"], first_proof.run.checks[check]


def test_a_table_that_the_writer_leaves_alone_is_the_same_by_psql(first_proof: Seen, outside: Outside) -> None:
    """Content and count, source and restored."""
    assert first_proof.untouched == outside.psql(outside.primary(), DIGEST_OF_UNTOUCHED)


def test_it_ends_where_the_fingerprint_was_taken_and_no_commit_before_is_missing(
    first_proof: Seen, first_backup: Run, outside: Outside
) -> None:
    """Judged by the writer's own numbers: a prefix of them is in the restored database, whole."""
    assert first_proof.run.materialized[PROOF_ASSET]["target LSN"] == first_backup.materialized[BACKUP_ASSET]["fingerprint LSN"]
    up_to = f"from gsv_writer.commits where number <= {first_proof.newest_commit}"
    rows = outside.psql(outside.primary(), f"select count(*), (select max(number) from gsv_writer.commits) {up_to}")
    then, newest_now = map(int, rows[0])
    assert first_proof.counts["gsv_writer.commits"] == then > 0
    assert first_proof.newest_commit < newest_now, "nothing was written meanwhile, so this shows nothing"


def test_the_scratch_cluster_was_shut_off_and_archived_nothing(first_proof: Seen, outside: Outside) -> None:
    """What it was made of, as the API server had it."""
    spec, source = first_proof.body["spec"], outside.get("clusters", CLUSTER)["spec"]
    assert spec["instances"] == 1
    assert not spec.get("plugins")
    assert not spec.get("backup")
    assert spec["imageName"] == source["imageName"]
    assert spec["postgresql"]["parameters"].items() >= source["postgresql"]["parameters"].items()
    assert first_proof.body["metadata"]["labels"]["gsv-ops/run"] == first_proof.run.run_id
    assert not (outside.store / scratch_of(first_proof.run)).exists()


def test_nothing_of_it_is_left(first_proof: Seen, outside: Outside) -> None:
    """No Cluster, pod, Job, volume, claim, Service, Secret, NetworkPolicy by its name."""
    until(lambda: not outside.everything_named(scratch_of(first_proof.run)), 15, "the last of the scratch cluster to be gone")


def test_its_numbers_are_numbers_and_its_evidence_is_kept(first_proof: Seen, a_desk: ADesk, backup_name: str) -> None:
    """What Dagster plots, and what a reviewer reads."""
    run, said = first_proof.run, first_proof.run.materialized[PROOF_ASSET]
    for number in ("rows", "tables", "recovery in seconds", "fetch in seconds", "replay in seconds", "promotion in seconds"):
        assert isinstance(said[number], int | float), (number, said)
    assert said["recovery in seconds"] > said["fetch in seconds"] > 0
    record = json.loads(next(a_desk.evidence.glob(f"evidence/*/{run.run_id}-prove_backup.json")).read_text())
    assert record["plan"]["id"] == said["plan"]
    assert [action["target"]["kind"] for action in record["plan"]["actions"]] == ["NetworkPolicy", "Cluster"]
    assert record["verdict"] == {"status": "good", "word": "proven", "reason": said["reason"]}
    assert record["results"]["rows"] == said["rows"]
    assert f"Cluster {NAMESPACE}/{scratch_of(run)}" in {outcome["target"] for outcome in record["outcomes"]}
    assert said["backup"] == backup_name
