"""Records past their days go, by a plan; what something stands on, or what a run still owns, stays however old it is."""

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from upath import UPath

from gsv_ops.housekeeping import tidy_records as tidying
from gsv_ops.housekeeping.tidy_records import BUNDLE, Found, Snapshot, TidyRecords
from gsv_ops.operations import keeping
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import Plan, Target
from gsv_ops.operations.records import File, Records
from gsv_ops.operations.undo import Bundles
from gsv_ops.platform import spec

DAY = timedelta(days=1)
SPEC = spec.load()
LIMITS = SPEC.desk.records
DAYS = {
    "evidence": LIMITS.evidence_days,
    "journals": LIMITS.journal_days,
    "steps": LIMITS.step_days,
    "plans": LIMITS.plan_days,
    "undo": SPEC.desk.undo_days,
}
NOW = datetime.now(UTC)
POD = Target("v1", "Pod", "p", "cmp")
FRAME = PlanFrame("tidy_records", "dev", "c-1", {})


class NotFrozen:
    """A cluster without a freeze."""

    def list(self, *_: object, **__: object) -> list[Any]:
        return []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    kube: Any = NotFrozen()
    records = Records(UPath(tmp_path / "evidence"))
    return Desk(kube, SPEC, "dev", "c-1", records, "the-run", lambda _: None, bundles=Bundles(tmp_path / "undo", 30 * DAY))


def aged(desk: Desk, name: str, days: float, body: dict[str, Any] | None = None) -> Path:
    """A record that was last written so long ago."""
    path = Path(str(desk.records.write(name, body or {})))
    return old(path, days)


def old(path: Path, days: float) -> Path:
    moment = (NOW - days * DAY).timestamp()
    os.utime(path, (moment, moment))
    return path


def planned(desk: Desk, at: Desk | None = None) -> Plan:
    return tidying.plan((at or desk).spec, tidying.observe(desk, TidyRecords()), TidyRecords(), FRAME, desk.now())


def tidied(desk: Desk, made: Plan | None = None) -> tuple[Plan, dict[str, Any]]:
    made = made or planned(desk)
    return made, dict(tidying.execute(desk, made, Journal.open(desk.records, "tidy_records", "the-run")))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("evidence", "evidence/2025-01-01/r-1-backup"),
        ("journals", "journals/r-1-op"),
        ("steps", "steps/r-1/plan/result"),
        ("plans", "plans/p-1"),
    ],
)
def test_each_kind_goes_after_its_days_and_not_before(desk: Desk, kind: str, name: str) -> None:
    past = aged(desk, name, DAYS[kind] + 1)
    young = aged(desk, f"{name}-young", DAYS[kind] - 1)
    made, _ = tidied(desk)
    assert [(a.target.kind, a.target.name) for a in made.actions] == [(kind, f"{name}.json")]
    assert not past.exists()
    assert young.exists()
    verdict = tidying.verify(desk, made, {"bytes": 2})
    assert (verdict.status, verdict.facts["removed"]) == ("good", 1)


def test_undo_bundles_go_after_undo_days_and_never_before(desk: Desk) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "cmp", "uid": "u"}}
    assert desk.bundles is not None
    past, young = (desk.bundles.write(f"{n * 8}-run", "prune", [body], NOW) for n in ("a", "b"))
    old(past, DAYS["undo"] + 0.01)
    old(young, DAYS["undo"] - 0.01)
    tidied(desk)
    assert (past.exists(), young.exists()) == (False, True)


def test_the_evidence_of_what_is_claimed_stays_until_another_stands_for_it(desk: Desk) -> None:
    first = aged(desk, "evidence/2024-01-01/run-1-prove_backup", 900)
    keeping.keep(desk.records, "proof-x", "run-1", "it is the newest proof of x")
    made, _ = tidied(desk)
    assert [(k.target.name, k.reason) for k in made.kept] == [
        ("evidence/2024-01-01/run-1-prove_backup.json", "it is the newest proof of x")
    ]
    assert first.exists()
    keeping.keep(desk.records, "proof-x", "run-2", "it is the newest proof of x")
    tidied(desk)
    assert not first.exists()


def test_a_proof_that_becomes_the_newest_between_plan_and_deletion_keeps_its_evidence(desk: Desk) -> None:
    record = aged(desk, "evidence/2024-01-01/run-1-prove_backup", 900)
    made = planned(desk)
    keeping.keep(desk.records, "proof-x", "run-1", "it is the newest proof of x")
    tidied(desk, made)
    assert record.exists()
    assert tidying.verify(desk, made, {"bytes": 0}).status == "bad"


@pytest.mark.parametrize(
    ("work", "stays"),
    [(lambda journal: None, True), (lambda journal: journal.release(), False), (lambda journal: journal.keep(), False)],
    ids=["owned", "released", "kept"],
)
def test_a_journal_whose_run_owns_something_stays(desk: Desk, work: Callable[[Journal], None], stays: bool) -> None:
    journal = Journal.open(desk.records, "prove_backup", "run-1")
    journal.will_make(POD)
    work(journal)
    path = old(Path(str(desk.records.path("journals/run-1-prove_backup"))), 900)
    made, _ = tidied(desk)
    assert path.exists() == stays
    assert [k.reason for k in made.kept] == (["what its run made is not taken down"] if stays else [])


def test_a_journal_that_cannot_be_read_stays(desk: Desk) -> None:
    path = aged(desk, "journals/run-1-prove_backup", 900)
    path.write_text("half a jour")
    old(path, 900)
    made, _ = tidied(desk)
    assert path.exists()
    assert "whether its run left anything is not known" in made.kept[0].reason


def test_what_is_written_since_the_plan_is_left_alone(desk: Desk) -> None:
    path = aged(desk, "plans/p-1", 900)
    made = planned(desk)
    old(path, 1)
    tidied(desk, made)
    assert path.exists()
    [outcome] = Journal.open(desk.records, "tidy_records", "the-run").outcomes
    assert (outcome.result, outcome.detail) == ("failed", "it was written since")


def test_halves_that_a_killed_process_left_go_after_a_day(desk: Desk) -> None:
    (Path(str(desk.records.root)) / "plans").mkdir(parents=True)
    for name, days in (("past", 1.5), ("young", 0.5)):
        half = Path(str(desk.records.root)) / "plans" / f".{name}.json.0a0a0a0a.partial"
        half.write_text("{")
        old(half, days)
    tidied(desk)
    assert [path.name for path in (Path(str(desk.records.root)) / "plans").iterdir()] == [".young.json.0a0a0a0a.partial"]


def test_no_more_goes_at_once_than_platform_yaml_says_the_oldest_first(desk: Desk) -> None:
    for number in range(4):
        aged(desk, f"plans/p-{number}", 100 + number)
    few = SPEC.model_copy(update={"desk": SPEC.desk.model_copy(update={"records": LIMITS.model_copy(update={"most": 2})})})
    made = planned(desk, replace(desk, spec=few))
    assert [a.target.name for a in made.actions] == ["plans/p-3.json", "plans/p-2.json"]
    assert "no more than desk.records.most (2) at once" in made.kept[0].reason


def test_what_a_store_does_not_date_stays(desk: Desk) -> None:
    """Such as fsspec's memory."""
    elsewhere = replace(desk, records=Records(UPath("memory://tidied")))
    elsewhere.records.write("plans/p-1", {})
    made, _ = tidied(elsewhere)
    assert (made.actions, [k.reason for k in made.kept]) == ((), ["when it was written is not known"])
    assert elsewhere.records.read("plans/p-1") == {}


@given(st.lists(st.tuples(st.sampled_from([*DAYS]), st.floats(0, 1000), st.booleans())))
def test_nothing_that_is_needed_or_young_is_ever_planned(files: list[tuple[str, float, bool]]) -> None:
    found = tuple(
        Found(kind, File(f"{kind}/{n}.json", Path(f"/x/{n}"), NOW - age * DAY, 1), "needed" if needed else "")
        for n, (kind, age, needed) in enumerate(files)
    )
    made = tidying.plan(SPEC, Snapshot(found), TidyRecords(), FRAME, NOW)
    by_name = {one.file.name: one for one in found}
    for action in made.actions:
        one = by_name[action.target.name]
        assert not one.needed
        assert NOW - one.file.modified > DAYS[one.kind] * DAY
    assert BUNDLE in DAYS
