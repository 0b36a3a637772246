"""What pytest does for the fault table: the fixture `row`, slow rows left to `make test-faults`, and docs/faults.md at the end."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from gsv_sandbox import catalogue, operand

from gsv_ops_tests.cluster.fault_table import report
from gsv_ops_tests.cluster.fault_table.report import AS_EXPECTED, Result, Session
from gsv_ops_tests.cluster.fault_table.row import Fault, Row
from gsv_ops_tests.cluster.fault_table.rows import PARTS

OPTION = "--faults-report"
KEPT = "gsv/faults"
LONGEST = 300
RESULTS = pytest.StashKey[dict[str, Result]]()
ROW = pytest.StashKey[Row]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(OPTION, type=Path, default=None, help="write the fault table, with what was seen of it, to this file")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[RESULTS] = {}


def fault_of(item: pytest.Item) -> Fault | None:
    """The row that a test is of."""
    marker = item.get_closest_marker("fault")
    return marker.args[0] if marker else None


def pytest_itemcollected(item: pytest.Item) -> None:
    fault = fault_of(item)
    if fault is not None and not fault.quick:
        item.add_marker("faults")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: (fault := fault_of(item)) is not None and fault.ends_the_sandbox)


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row that the test is of; a test that does not judge by it fails."""
    fault = fault_of(request.node)
    assert fault is not None, "the test is of no row: decorate it with @expects(...)"
    found = request.node.stash[ROW] = Row(fault)
    return found


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    told = yield
    fault = fault_of(item)
    if fault is not None and not told.skipped:
        # here and not in a teardown: a test that was interrupted has judged nothing, and the others' rows are written all the same
        if told.when == "call" and told.passed and (ROW not in item.stash or item.stash[ROW].seen is None):
            told.outcome, told.longrepr = "failed", "the test did not judge what it saw by its row"
        _remember(item, fault, told)
    return told


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    file = config.getoption(OPTION)
    if file is None:
        return
    session = _session()
    now = {name: replace(result, session=session.name) for name, result in config.stash[RESULTS].items()}
    # What an earlier session saw is shown as that session's, as long as the row still expects the same.
    kept = config.cache.get(KEPT, {}) if config.cache else {}
    known = {fault.fault: report.from_json(kept[key]) for rows in PARTS.values() for fault in rows if (key := _key(fault)) in kept}
    known |= now
    file.write_text(report.markdown(PARTS, known, session))
    if config.cache:
        keys = {fault.fault: _key(fault) for rows in PARTS.values() for fault in rows}
        config.cache.set(KEPT, {keys[name]: report.to_json(result) for name, result in known.items()})
    terminalreporter.write_line(f"{file}: {len(now)} rows were run")


def _remember(item: pytest.Item, fault: Fault, told: pytest.TestReport) -> None:
    results = item.config.stash[RESULTS]
    found = item.stash.get(ROW, None)
    seen = found.seen if found else None
    known = results.get(fault.fault)
    # a row that was as expected and was not put back is not as expected
    if told.failed:
        outcome = f"{told.when} failed: {_short(told)}" if told.when != "call" else _short(told)
    elif told.when == "call" and known is None:
        outcome = AS_EXPECTED
    else:
        return
    results[fault.fault] = Result(outcome, seen.seconds if seen else None, tuple(sorted(seen.left)) if seen else (), "")


def _short(told: pytest.TestReport) -> str:
    crash = getattr(told.longrepr, "reprcrash", None)
    text = str(crash.message if crash else told.longreprtext).partition("\n\n")[0]
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _key(fault: Fault) -> str:
    return sha256(repr(fault).encode()).hexdigest()[:16]


def _session() -> Session:
    command = ["git", "-C", str(catalogue.SOURCES), "describe", "--always", "--dirty"]
    revision = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or "unknown"
    modules = (catalogue.SOURCES / "go.mod").read_text()
    versions = {
        "Kubernetes": catalogue.kubernetes_version(modules),
        "CloudNativePG": catalogue.pinned(modules, "github.com/cloudnative-pg/cloudnative-pg"),
        "Barman Cloud plugin": catalogue.pinned(modules, "github.com/cloudnative-pg/plugin-barman-cloud"),
        "PostgreSQL": operand.POSTGRESQL,
        "Python": platform.python_version(),
    }
    return Session(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC", revision, os.cpu_count() or 0, versions)
