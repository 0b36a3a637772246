"""What becomes of a proof whose source cannot be fingerprinted, and of one that compared nothing."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import access, proofs
from gsv_ops.database.proof import execute as proving
from gsv_ops.database.proof import verify as verifying
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Check, Desk, Table, Verdict
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import backup
from gsv_ops_tests.unit.database.test_proof_plan import planned

COMPARED = datetime(2026, 11, 1, 4, 30, tzinfo=UTC)


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
    monkeypatch.setattr(proving.fingerprinting, "take", lambda *_, **__: {"record": "", "problem": "pid 42 (user app) open for 900 s"})
    at = desk(tmp_path, Cmp())
    journal = Journal.open(at.records, "prove_backup", "the-run")
    results = proving.execute(at, planned(records={}, fingerprint_now=True), journal)
    assert results["outcome"] == "inconclusive"
    assert results["reason"] == "the source could not be fingerprinted now: pid 42 (user app) open for 900 s"
    assert journal.entries == [], "something was made"


def judged(tmp_path: Path, *left: str, **results: Any) -> Verdict:
    told = {"reason": "the rows are equal", "timings": {}, "compared_at": COMPARED.isoformat()}
    return verifying.verify(desk(tmp_path, Cmp(*left)), planned(), {**told, **results})


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


def test_a_proof_is_as_old_as_its_comparison_however_late_it_is_judged(tmp_path: Path) -> None:
    """Re-executed from a step, a run's results are judged anew: that makes them no younger."""
    at = desk(tmp_path, Cmp())
    assert judged(tmp_path, outcome="proven", rows=5, tables=2).status == "good"
    newest = proofs.newest(at.records, at.spec.databases["cmp_postgres"], "c-1")
    assert newest is not None
    assert newest.proven_at == COMPARED


def test_results_that_do_not_say_when_they_were_found_prove_nothing(tmp_path: Path) -> None:
    at = desk(tmp_path, Cmp())
    results = {"reason": "the rows are equal", "timings": {}, "outcome": "proven", "rows": 5, "tables": 2}
    assert verifying.verify(at, planned(), results).status == "inconclusive"
    assert proofs.newest(at.records, at.spec.databases["cmp_postgres"], "c-1") is None


def test_a_proof_says_nothing_of_the_same_database_on_another_cluster(tmp_path: Path) -> None:
    """Environments may share one evidence root."""
    at = desk(tmp_path, Cmp())
    judged(tmp_path, outcome="proven", rows=5, tables=2)
    assert proofs.newest(at.records, at.spec.databases["cmp_postgres"], "another") is None


def test_the_newest_comparison_is_kept_whatever_it_found_and_an_inconclusive_one_changes_nothing(tmp_path: Path) -> None:
    at = desk(tmp_path, Cmp())
    database = at.spec.databases["cmp_postgres"]
    assert not rows_equal(judged(tmp_path, outcome="inconclusive")).passed
    assert rows_equal(judged(tmp_path, outcome="proven", rows=5, tables=2, lsn="0/A")).passed
    assert rows_equal(judged(tmp_path, outcome="inconclusive")).passed, "nothing new is known of the rows"
    later = (COMPARED + timedelta(hours=1)).isoformat()
    differ = [{"table": "app.b", "source rows": 1, "restored rows": 0, "what": "has another number of rows"}]
    check = rows_equal(judged(tmp_path, outcome="failed", rows=4, tables=1, reason="1 differences", differences=differ, compared_at=later))
    assert (check.passed, check.metadata["tables that differ"]) == (False, Table([{"table": "app.b"}]))
    assert not rows_equal(judged(tmp_path, outcome="proven", rows=5, tables=2)).passed, "an older one, judged anew, is not the newest"
    kept = proofs.compared(at.records, database, "c-1")
    assert kept is not None
    assert (kept.outcome, kept.different, kept.tables) == ("failed", ("app.b",), 1)
    assert proofs.compared(at.records, database, "another") is None


def rows_equal(verdict: Verdict) -> Check:
    return next(check for check in verdict.checks if check.name == "restored_rows_are_equal")
