"""A row's test judges by its row; slow rows are left out of `make test`; whatever happens to a row stands in the report."""

import pytest

ROWS = """
import pytest
from gsv_ops_tests.cluster.fault_table import rows
from gsv_ops_tests.cluster.fault_table.row import Fault, Row, Seen, expects

LAST = Fault("it ends the sandbox", "mended", within=9, ends_the_sandbox=True)
GOOD = Fault("it is told", "good", within=9, quick=True)
WRONG = Fault("it is not told", "failed", within=9)
UNJUDGED = Fault("nobody judges", "good", within=9)
NOT_BACK = Fault("it is not put back", "good", within=9)
SKIPPED = Fault("no sandbox is here", "good", within=9)
rows.PARTS.clear()
rows.PARTS["part"] = (LAST, GOOD, WRONG, UNJUDGED, NOT_BACK, SKIPPED)

@expects(LAST)
def test_last(row: Row) -> None:
    row.judge_mended()

@expects(GOOD)
def test_good(row: Row) -> None:
    row.judge_seen(Seen("good", "", 1.0))

@expects(WRONG)
def test_wrong(row: Row) -> None:
    row.judge_seen(Seen("proven", "all is well", 2.0))

@expects(UNJUDGED)
def test_unjudged(row: Row) -> None:
    pass

@pytest.fixture
def put_back():
    yield
    raise AssertionError("the store does not answer")

@expects(NOT_BACK)
def test_not_back(put_back: None, row: Row) -> None:
    row.judge_seen(Seen("good", "", 3.0))

@expects(SKIPPED)
def test_skipped(row: Row) -> None:
    pytest.skip("no sandbox")
"""
INI = """
[pytest]
addopts = -p gsv_ops_tests.cluster.fault_table.plugin --strict-markers
markers =
    fault(row): x
    faults: x
"""


@pytest.fixture
def rows(pytester: pytest.Pytester) -> pytest.Pytester:
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(test_rows=ROWS)
    return pytester


def test_every_row_stands_in_the_report_with_what_became_of_it(rows: pytest.Pytester) -> None:
    done = rows.runpytest_subprocess("-m", "fault", "--faults-report", "faults.md")
    done.assert_outcomes(passed=3, failed=2, errors=1, skipped=1)
    lines = (rows.path / "faults.md").read_text().splitlines()
    told = {cells[1].strip(): (cells[5].strip(), cells[7].strip()) for line in lines if len(cells := line.split("|")) == 9}
    assert told["it is told"] == ("1", "as expected")
    assert told["it is not told"][0] == "2"
    assert "the verdict is proven, expected failed" in told["it is not told"][1]
    assert "did not judge" in told["nobody judges"][1]
    assert told["it is not put back"][0] == "3"
    assert "teardown failed: " in told["it is not put back"][1]
    assert "the store does not answer" in told["it is not put back"][1]
    assert told["no sandbox is here"] == ("", "not run")


def test_a_part_of_the_rows_drops_none_of_the_others(rows: pytest.Pytester) -> None:
    rows.runpytest_subprocess("-m", "fault", "-k", "good", "--faults-report", "faults.md").assert_outcomes(passed=1, deselected=5)
    assert "| it is told | good |  | 9 | 1 | nothing | as expected |" in (text := (rows.path / "faults.md").read_text())
    assert "| it is not told | failed |  | 9 |  | nothing | not run |" in text
    rows.runpytest_subprocess("-m", "fault", "-k", "last", "--faults-report", "faults.md").assert_outcomes(passed=1, deselected=5)
    assert "| it is told | good |  | 9 | 1 | nothing | not run; as expected at " in (rows.path / "faults.md").read_text()


def test_an_interrupt_loses_none_of_the_rows_that_were_seen(rows: pytest.Pytester) -> None:
    source = (rows.path / "test_rows.py").read_text()
    (rows.path / "test_rows.py").write_text(source.replace('row.judge_seen(Seen("proven", "all is well", 2.0))', "raise KeyboardInterrupt"))
    done = rows.runpytest_subprocess("-m", "fault", "--faults-report", "faults.md")
    assert done.ret == pytest.ExitCode.INTERRUPTED
    text = (rows.path / "faults.md").read_text()
    assert "| it is told | good |  | 9 | 1 | nothing | as expected |" in text
    assert "| it is not told | failed |  | 9 |  | nothing | not run |" in text


def test_make_test_leaves_the_slow_rows_out_and_what_ends_the_sandbox_is_last(rows: pytest.Pytester) -> None:
    rows.runpytest_subprocess("-m", "not faults").assert_outcomes(passed=1, deselected=5)
    done = rows.runpytest_subprocess("-m", "fault", "--collect-only", "-q")
    assert next(line for line in reversed(done.outlines) if "::" in line).endswith("::test_last")
    assert not (rows.path / "faults.md").exists()
