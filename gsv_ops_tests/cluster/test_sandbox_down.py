"""The sandbox under SIGKILL: every component is mended by `up`, and `down` leaves the machine as it was, whatever died.

Ends the sandbox and brings it up again, so it belongs to the fault table, not to the cluster tier.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.sandbox_state import COMPONENTS, component_pids, gsv_sandbox, traces

pytestmark = pytest.mark.faults

MEND_SECONDS = 90
WARM_SECONDS = 120 + 30  # a healthy cmp-postgres within two minutes, and its dataset


@pytest.fixture(scope="module")
def paths(sandbox: Paths) -> Iterator[Paths]:
    gsv_sandbox("up")
    yield sandbox
    gsv_sandbox("up")
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


@pytest.mark.parametrize("names", [*((name,) for name in COMPONENTS), COMPONENTS], ids=lambda names: "+".join(names)[:30])
def test_up_mends_what_was_killed(paths: Paths, names: tuple[str, ...]) -> None:
    before = component_pids(paths)
    kill(paths, *names)
    gsv_sandbox("status", expect=1)
    begun = time.monotonic()
    gsv_sandbox("up")
    assert time.monotonic() - begun < MEND_SECONDS
    gsv_sandbox("status")
    after = component_pids(paths)
    assert {name for name in COMPONENTS if before[name] != after[name]} == set(names)


@pytest.mark.parametrize("killed", [(), ("containerd", "kubelet"), COMPONENTS], ids=["none", "containerd", "all"])
def test_down_leaves_the_machine_as_it_was(paths: Paths, killed: tuple[str, ...]) -> None:
    gsv_sandbox("up")
    gsv_sandbox("down")
    before = traces(paths)
    for kind in ("processes", "groups", "mounts", "routes", "directories", "sockets"):
        assert before[kind] == [], f"{kind} are left"
    begun = time.monotonic()
    gsv_sandbox("up")
    assert time.monotonic() - begun < WARM_SECONDS
    gsv_sandbox("writer", "start")
    assert traces(paths) != before
    if killed:
        kill(paths, *killed)
    gsv_sandbox("down")
    assert traces(paths) == before


@pytest.mark.parametrize("seconds", [1.5, 8, 30])
def test_a_killed_up_is_gone_over_by_the_next_command(paths: Paths, seconds: float) -> None:
    gsv_sandbox("down")
    before = traces(paths)
    argv = [sys.executable, "-m", "gsv_sandbox.cli", "up"]
    for command in ("down", "up"):
        with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as up:
            time.sleep(seconds)
            up.kill()
        gsv_sandbox(command)
        if command == "down":
            assert traces(paths) == before
    gsv_sandbox("status")
