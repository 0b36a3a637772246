"""What a Backup's fingerprint record remembers: that it was taken later than the Backup, and never less than it held before."""

from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import fingerprint, fingerprinting
from gsv_ops.database.consistent_point import Inconclusive
from gsv_ops.database.fingerprinting import Source
from gsv_ops.database.proof import execute as proving
from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, backup
from gsv_ops_tests.unit.database.test_compare import SOURCE
from gsv_ops_tests.unit.database.test_proof_plan import planned


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    nothing: Any = None
    monkeypatch.setattr(fingerprint, "take_at_consistent_point", lambda *_, **__: SOURCE)
    desk = Desk(cast(Kube, nothing), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)
    return Source(desk, DATABASE, nothing, nothing, nothing, nothing)


def later_proof(source: Source) -> tuple[int | None, bool]:
    """What a proof that finds the record compares with, and whether it says that it was taken late."""
    records = source.desk.records
    taken, late = proving._source_fingerprint(source.desk, DATABASE, planned("new"), Journal.open(records, "prove_backup", "another-run"))
    return taken.lsn, late


def archive(source: Source) -> None:
    """What waiting for its WAL writes down once the WAL is there."""
    name = fingerprinting.record_name(DATABASE, backup("new"))
    source.desk.records.write(name, {**(source.desk.records.read(name) or {}), "problem": "", "archived": True})


def test_a_fingerprint_whose_wal_was_never_seen_in_the_store_does_not_count(source: Source) -> None:
    """A run that is killed while it waits leaves such a record: a restore to its position could never be reached."""
    name = fingerprinting.take(source, backup("new"), "the-run")["record"]
    record = source.desk.records.read(name)
    assert record is not None
    assert record["problem"] == fingerprinting.NOT_ARCHIVED
    assert fingerprinting.kept(record) is None
    with pytest.raises(OperationFailed, match="gone or cannot be reached"):
        later_proof(source)
    archive(source)
    assert later_proof(source) == (SOURCE.lsn, False)


@pytest.mark.parametrize("late", [False, True])
def test_a_later_proof_says_too_that_the_fingerprint_was_not_taken_with_the_backup(source: Source, late: bool) -> None:
    assert fingerprinting.take(source, backup("new"), "the-run", late=late)["record"]
    archive(source)
    assert later_proof(source) == (SOURCE.lsn, late)


def test_a_fingerprint_that_is_there_outlives_an_attempt_that_took_none(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    fingerprinting.take(source, backup("new"), "the-run")
    archive(source)

    def blocked(*_: object, **__: object) -> None:
        raise Inconclusive("pid 42 is open for 900 s")

    monkeypatch.setattr(fingerprint, "take_at_consistent_point", blocked)
    assert fingerprinting.take(source, backup("new"), "the-run", late=True) == {"record": "", "problem": "pid 42 is open for 900 s"}
    assert later_proof(source) == (SOURCE.lsn, False)
