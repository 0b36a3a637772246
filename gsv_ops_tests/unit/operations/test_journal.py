"""A journal knows what a run made or may have made, through kills and re-executions, until it was taken down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gsv_ops.operations.journal import Journal, Outcome
from gsv_ops.operations.plan import Target
from gsv_ops.operations.records import DamagedRecord, Records

RUN = "4f0c1a2b-3d4e-4f5a-8b6c-7d8e9f0a1b2c"
POLICY = Target("networking.k8s.io/v1", "NetworkPolicy", "proof-4f0c1a2b", "cmp")
CLUSTER = Target("postgresql.cnpg.io/v1", "Cluster", "proof-4f0c1a2b", "cmp")


def opened(records: Records, run: str = RUN, operation: str = "prove_backup") -> Journal:
    return Journal.open(records, operation, run)


def test_what_was_made_is_known_again_in_order_and_with_its_uid(records: Records) -> None:
    journal = opened(records)
    assert not journal.begun
    for target, uid in ((POLICY, "u-1"), (CLUSTER, "u-2")):
        journal.will_make(target)
        journal.made(target, uid)
    again = opened(records)
    assert again.begun
    assert [(target.kind, target.uid) for target in again.targets()] == [("NetworkPolicy", "u-1"), ("Cluster", "u-2")]
    assert (again.uid_of(POLICY), again.uid_of(CLUSTER)) == ("u-1", "u-2")
    assert again.uid_of(Target("v1", "ConfigMap", "other")) == ""


def test_a_run_killed_between_saying_and_making_is_known_to_have_made_it_perhaps(records: Records) -> None:
    program = (
        "import os, sys; from upath import UPath\n"
        "from gsv_ops.operations.records import Records; from gsv_ops.operations.journal import Journal\n"
        "from gsv_ops.operations.plan import Target\n"
        "journal = Journal.open(Records(UPath(sys.argv[1])), 'prove_backup', sys.argv[2])\n"
        "journal.will_make(Target('postgresql.cnpg.io/v1', 'Cluster', 'proof-4f0c1a2b', 'cmp'))\n"
        "os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(records.root), RUN], timeout=60).returncode == -9
    [left] = Journal.unreleased(records, "prove_backup")
    assert left.root_run_id == RUN
    assert left.targets() == [CLUSTER]
    assert left.uid_of(CLUSTER) == ""


def test_saying_it_twice_names_it_once(records: Records) -> None:
    journal = opened(records)
    journal.will_make(CLUSTER)
    journal.made(CLUSTER, "u-1")
    journal.will_make(CLUSTER)
    assert [target.uid for target in opened(records).targets()] == ["u-1"]


def test_what_is_made_again_after_a_release_is_to_be_taken_down_again(records: Records) -> None:
    journal = opened(records)
    journal.made(CLUSTER, "u-1")
    journal.release()
    assert Journal.unreleased(records, "prove_backup") == []
    again = opened(records)
    again.will_make(CLUSTER)
    assert not again.released
    again.made(CLUSTER, "u-2")
    [left] = Journal.unreleased(records, "prove_backup")
    assert left.uid_of(CLUSTER) == "u-2"


def test_unreleased_are_those_of_the_operation_that_name_something(records: Records) -> None:
    opened(records, "run-1").will_make(CLUSTER)
    opened(records, "run-2").note(results={"nothing": "made"})
    opened(records, "run-3").outcome("create", CLUSTER, "failed", "the name belongs to another object")
    opened(records, "run-4", "backup_database").will_make(CLUSTER)
    released = opened(records, "run-5")
    released.will_make(CLUSTER)
    released.release()
    assert [journal.root_run_id for journal in Journal.unreleased(records, "prove_backup")] == ["run-1"]
    assert [journal.root_run_id for journal in Journal.unreleased(records, "backup_database")] == ["run-4"]
    assert Journal.unreleased(records, "backup") == []


def test_outcomes_and_notes_keep_their_order_and_words(records: Records) -> None:
    journal = opened(records)
    journal.outcome("create", POLICY, "done")
    journal.note(results={"rows": 3}, phase="restoring")
    journal.outcome("delete", CLUSTER, "failed", "it changed in the moment of the deletion")
    again = opened(records)
    again.outcome("delete", CLUSTER, "already", "it is gone")
    assert opened(records).outcomes == [
        Outcome("create", "NetworkPolicy cmp/proof-4f0c1a2b", "done"),
        Outcome("delete", "Cluster cmp/proof-4f0c1a2b", "failed", "it changed in the moment of the deletion"),
        Outcome("delete", "Cluster cmp/proof-4f0c1a2b", "already", "it is gone"),
    ]
    assert opened(records).notes == {"results": {"rows": 3}, "phase": "restoring"}


def test_nothing_is_said_to_be_made_that_is_not_written_down(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        opened(records).will_make(CLUSTER)


def test_a_damaged_journal_holds_its_operation_up_instead_of_being_forgotten(records: Records) -> None:
    opened(records).will_make(CLUSTER)
    Path(str(records.path(f"journals/{RUN}-prove_backup"))).write_text("{")
    with pytest.raises(DamagedRecord, match="move it away"):
        Journal.unreleased(records, "prove_backup")
