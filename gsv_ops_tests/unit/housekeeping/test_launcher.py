"""Whether the process that said that it executes a run still lives: asked of real processes."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from gsv_ops.housekeeping import launcher

HOUR = 3600.0
Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """start(arguments): a process that sleeps, ended with the test."""
    made: list[subprocess.Popen[bytes]] = []

    def sleeper(*arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", "import time; time.sleep(60)", *arguments]
        made.append(subprocess.Popen(command))
        deadline = time.monotonic() + 10
        # for a moment after it was started the kernel shows no arguments of a process yet
        while psutil.Process(made[-1].pid).cmdline() != command:
            assert time.monotonic() < deadline, "its arguments were never seen"
            time.sleep(0.01)
        return made[-1]

    yield sleeper
    for process in made:
        process.kill()
        process.wait(10)


def test_a_process_lives_until_it_is_killed(start: Start) -> None:
    process = start()
    assert launcher._lives(process.pid, time.time())
    process.kill()
    deadline = time.monotonic() + 10
    while launcher._lives(process.pid, time.time()):  # a zombie first: nobody has waited for it
        assert time.monotonic() < deadline, "a zombie is said to live"
        time.sleep(0.05)
    process.wait(10)
    assert not launcher._lives(process.pid, time.time())


def test_a_younger_process_has_only_inherited_the_number(start: Start) -> None:
    assert not launcher._lives(start().pid, time.time() - HOUR)


def test_a_worker_lives_though_the_clock_was_set_forward_since_it_spoke(start: Start) -> None:
    """Linux reckons when a process was made from the clock as it is now: an hour forward, and it was made an hour after it spoke."""
    assert launcher._lives(start(launcher.WORKER).pid, time.time() - HOUR)


def test_runs_are_executed_in_processes_that_are_known_as_workers() -> None:
    from multiprocessing import spawn

    assert launcher.WORKER in spawn.get_command_line()
