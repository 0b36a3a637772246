"""A row of the fault table is only as expected when everything that it says of the run is so."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.fault_table.row import FOUR_LINES, Fault, Seen, judged, said_by, verdict_of
from gsv_ops_tests.cluster.fault_table.rows import PARTS

FAULT = Fault("the store is down", "stopped", within=60, says=("10.88.0.1", "refused"), left=("Backup",))
SEEN = Seen("stopped", "10.88.0.1 refused\n" + "\n".join(FOUR_LINES), 59.0, frozenset({"Backup"}))
EVERY = [fault for rows in PARTS.values() for fault in rows]
TESTS = Path(__file__).parents[2] / "cluster"


def test_what_is_as_expected_is_so() -> None:
    assert judged(FAULT, SEEN) == []


@pytest.mark.parametrize(
    ("seen", "wrong"),
    [
        (replace(SEEN, verdict="proven"), "the verdict is proven, expected stopped"),
        (replace(SEEN, said=SEEN.said.replace("refused", "")), "it does not say 'refused'"),
        (replace(SEEN, seconds=61.0), "it took 61 s, expected at most 60 s"),
        (replace(SEEN, left=frozenset()), "left is nothing, expected Backup"),
        (replace(SEEN, left=frozenset({"Backup", "scratch cluster"})), "left is Backup, scratch cluster, expected Backup"),
        (replace(SEEN, materialized=True), "the asset was materialised, which says that it is good"),
        (replace(SEEN, said=SEEN.said.replace("Next: ", "")), "it does not end with the line 'Next: '"),
    ],
)
def test_each_thing_that_is_not_is_told(seen: Seen, wrong: str) -> None:
    assert judged(FAULT, seen) == [wrong]


def test_the_four_lines_are_not_asked_of_a_run_that_could_not_say_them() -> None:
    for verdict in ("killed", "cancelled", "good", "proven", "mended"):
        assert judged(Fault("x", verdict, within=1), Seen(verdict, "", 0.5)) == []


@pytest.mark.parametrize(
    ("run", "verdict"),
    [
        (Run("r", "FAILURE", tags={"gsv/verdict": "inconclusive"}, failures=["x"]), "inconclusive"),
        (Run("r", "SUCCESS", tags={"gsv/verdict": "proven"}), "proven"),
        (Run("r", "CANCELED"), "cancelled"),
        (Run("r", "FAILURE"), "killed"),
        (Run("r", "FAILURE", failures=["x\nChanged: nothing.\n"]), "refused"),
        (Run("r", "FAILURE", failures=["x\nChanged: create Backup cmp/b.\n"]), "stopped"),
    ],
)
def test_the_verdict_is_the_runs_own_or_how_it_ended(run: Run, verdict: str) -> None:
    assert verdict_of(run) == verdict


def test_an_operator_reads_the_failure_and_the_checks_that_failed() -> None:
    checks = {"a": {"success": False, "description": "bad"}, "b": {"success": True, "description": "fine"}}
    assert said_by(Run("r", failures=["why"], checks=checks)) == "why\nbad"


def test_each_row_is_one_fault_and_has_one_test() -> None:
    """Else one would stand for ever as not run, or be written over by another."""
    assert len({fault.fault for fault in EVERY}) == len(EVERY)
    source = "\n".join(file.read_text() for file in TESTS.glob("test_*.py"))
    used = re.findall(r"expects\((\w+\.[A-Z_]+)\)", source)
    assert len(set(used)) == len(used)
    declared = re.findall(
        r"^([A-Z_]+) = Fault\(", "\n".join(file.read_text() for file in (TESTS / "fault_table").glob("*.py")), re.MULTILINE
    )
    assert sorted(name.partition(".")[2] for name in used) == sorted(declared)


def test_make_test_runs_six_of_them() -> None:
    assert sum(fault.quick for fault in EVERY) == 6
    assert not any(fault.quick and fault.ends_the_sandbox for fault in EVERY)
