"""The sandbox under SIGKILL: every component is mended by `up`, and `down` leaves the machine as it was, whatever died.

Ends the sandbox and brings it up again, so it belongs to the fault table, not to the cluster tier.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.fault_table import the_sandbox
from gsv_ops_tests.cluster.fault_table.row import Fault, Row, expects
from gsv_ops_tests.cluster.sandbox_state import COMPONENTS, component_pids, gsv_sandbox, traces

UP = ("up", "--provider", "native")  # after `down` the first that fits would be taken, which may be Docker's
DOWN = ("down",)


@pytest.fixture(scope="module")
def paths(sandbox: Paths) -> Iterator[Paths]:
    gsv_sandbox(*UP)
    yield sandbox
    gsv_sandbox(*UP)
    gsv_sandbox("writer", "start")


def kill(paths: Paths, *names: str) -> None:
    pids = component_pids(paths)
    for name in names:
        pid = pids[name]
        assert pid is not None, f"{name} runs"
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while any(component_pids(paths)[name] for name in names) and time.monotonic() < deadline:
        time.sleep(0.05)


def rows(table: Mapping[Any, Fault]) -> list[Any]:
    """Each fault of the table as a test's parameter, with its row."""
    return [pytest.param(broken, marks=expects(fault)) for broken, fault in table.items()]


@pytest.mark.parametrize("names", rows(the_sandbox.KILLED), ids=lambda names: "+".join(names)[:30])
def test_up_mends_what_was_killed(row: Row, paths: Paths, names: tuple[str, ...]) -> None:
    before = component_pids(paths)
    kill(paths, *names)
    gsv_sandbox("status", expect=1)
    with row.timed():
        gsv_sandbox(*UP)
    gsv_sandbox("status")
    after = component_pids(paths)
    assert {name for name in COMPONENTS if before[name] != after[name]} == set(names)
    row.judge_mended()


@pytest.mark.parametrize("killed", rows(the_sandbox.DOWN), ids=["none", "containerd", "all"])
def test_down_leaves_the_machine_as_it_was(row: Row, paths: Paths, killed: tuple[str, ...]) -> None:
    gsv_sandbox(*UP)
    gsv_sandbox(*DOWN)
    before = traces(paths)
    for kind in ("processes", "groups", "mounts", "routes", "directories", "sockets"):
        assert before[kind] == [], f"{kind} are left"
    with row.timed():
        gsv_sandbox(*UP)
    gsv_sandbox("writer", "start")
    assert traces(paths) != before
    if killed:
        kill(paths, *killed)
    gsv_sandbox(*DOWN)
    after = traces(paths)
    row.judge_mended(left_over(before, after))
    assert after == before


@pytest.mark.parametrize("seconds", rows(the_sandbox.KILLED_UP))
def test_a_killed_up_is_gone_over_by_the_next_command(row: Row, paths: Paths, seconds: float) -> None:
    gsv_sandbox(*DOWN)
    before = traces(paths)
    argv = [sys.executable, "-m", "gsv_sandbox.cli", *UP]
    with row.timed():
        for command in (DOWN, UP):
            with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
                time.sleep(seconds)
                up.kill()
            gsv_sandbox(*command)
            if command == DOWN:
                after = traces(paths)
    gsv_sandbox("status")
    row.judge_mended(left_over(before, after))
    assert after == before


def left_over(before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> set[str]:
    """The kinds of traces that there are more of."""
    return {kind for kind in after if set(after[kind]) - set(before[kind])}
