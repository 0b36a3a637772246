"""What becomes of a proof whose source cannot be fingerprinted, and of one that compared nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import access
from gsv_ops.database.proof import execute as proving
from gsv_ops.database.proof import verify as verifying
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, Verdict
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import backup
from gsv_ops_tests.unit.database.test_proof_plan import planned


class Cmp:
    """A Kube that knows the Backup, and which scratch clusters are left."""

    def __init__(self, *left: str) -> None:
        self.left = left

    def get(self, resource: Resource, name: str, namespace: str) -> Object:
        assert resource.kind == "Backup"
        return backup(name)

    def list(self, resource: Resource, namespace: str, *, labels: str) -> list[Object]:
        assert (resource.kind, namespace, labels) == ("Cluster", "cmp", "gsv-ops/run=the-run")
        return [{"metadata": {"name": name}} for name in self.left]


def desk(tmp_path: Path, kube: Cmp) -> Desk:
    return Desk(cast(Kube, kube), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)


def test_a_source_that_cannot_be_fingerprinted_now_makes_it_inconclusive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def source_of(*_: object) -> Iterator[object]:
        with access.failures_of("asking the primary"):
            yield None

    monkeypatch.setattr(proving, "source_of", source_of)
    monkeypatch.setattr(proving.fingerprinting, "take", lambda *_: {"record": "", "problem": "pid 42 (user app) open for 900 s"})
    at = desk(tmp_path, Cmp())
    journal = Journal.open(at.records, "prove_backup", "the-run")
    results = proving.execute(at, planned(records={}, fingerprint_now=True), journal)
    assert results["outcome"] == "inconclusive"
    assert results["reason"] == "the source could not be fingerprinted now: pid 42 (user app) open for 900 s"
    assert journal.entries == [], "something was made"


def judged(tmp_path: Path, *left: str, **results: Any) -> Verdict:
    return verifying.verify(desk(tmp_path, Cmp(*left)), planned(), {"reason": "the rows are equal", "timings": {}, **results})


@pytest.mark.parametrize(
    ("results", "status", "word"),
    [
        ({"outcome": "proven", "rows": 5, "tables": 2}, "good", "proven"),
        ({"outcome": "proven", "rows": 0, "tables": 2}, "inconclusive", "inconclusive"),
        ({"outcome": "proven", "rows": 5, "tables": 0}, "inconclusive", "inconclusive"),
        ({"outcome": "proven"}, "inconclusive", "inconclusive"),
        ({"outcome": "failed", "rows": 5, "tables": 2}, "bad", "failed"),
        ({"outcome": "inconclusive"}, "inconclusive", "inconclusive"),
        ({"outcome": "a word of tomorrow", "rows": 5, "tables": 2}, "inconclusive", "a word of tomorrow"),
    ],
)
def test_only_rows_that_were_compared_prove_anything(tmp_path: Path, results: dict[str, Any], status: str, word: str) -> None:
    verdict = judged(tmp_path, **results)
    assert (verdict.status, verdict.word) == (status, word)
    checks = {check.name: (check.passed, check.severity) for check in verdict.checks}
    assert checks["restored_rows_are_equal"] == (status == "good", "ERROR")
    assert checks["nothing_is_left_of_the_proof"] == (True, "WARN")


def test_what_is_left_of_it_is_warned_of(tmp_path: Path) -> None:
    verdict = judged(tmp_path, "cmp-postgres-proof-x", outcome="proven", rows=5, tables=2)
    [left] = [check for check in verdict.checks if check.name == "nothing_is_left_of_the_proof"]
    assert (left.passed, left.description) == (False, "cmp-postgres-proof-x still there")
