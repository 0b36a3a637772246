"""Components as processes: recognised again, never mistaken for another, and stopped by id. With real processes."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.processes import Processes, Service, start_time
from gsv_sandbox.state import Paths, boot_id

SLEEPER = Service("sleeper", (sys.executable, "-c", "import time; print('awake', flush=True); time.sleep(600)"))
STUBBORN = Service(
    "stubborn",
    (
        sys.executable,
        "-c",
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
    ),
)


@pytest.fixture
def processes(paths: Paths) -> Iterator[Processes]:
    started = Processes(paths)
    yield started
    for name in started.names():
        started.stop(name, grace=0.2)


def test_a_running_component_is_not_started_twice(processes: Processes) -> None:
    assert processes.start(SLEEPER)
    pid = processes.pid("sleeper")
    assert pid is not None
    assert not processes.start(SLEEPER)
    assert processes.pid("sleeper") == pid


@pytest.mark.parametrize(
    "changed",
    [
        Service("sleeper", (*SLEEPER.argv, "more")),
        Service("sleeper", SLEEPER.argv, {"KEY": "new"}),
        Service("sleeper", SLEEPER.argv, configuration="new"),
    ],
)
def test_a_component_that_is_wanted_differently_is_started_anew(processes: Processes, changed: Service) -> None:
    processes.start(SLEEPER)
    before = processes.pid("sleeper")
    assert processes.start(changed)
    assert processes.pid("sleeper") not in (None, before)
    assert before is not None
    assert start_time(before) is None


def test_a_killed_component_is_seen_as_dead_and_started_again(processes: Processes) -> None:
    processes.start(SLEEPER)
    pid = processes.pid("sleeper")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while processes.pid("sleeper") is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes.pid("sleeper") is None
    assert processes.start(SLEEPER)


@pytest.mark.parametrize("difference", [{"started": 1}, {"boot": "another"}])
def test_a_recycled_pid_is_neither_recognised_nor_killed(paths: Paths, processes: Processes, difference: dict[str, object]) -> None:
    innocent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        record = {"pid": innocent.pid, "started": start_time(innocent.pid), "boot": boot_id(), "fingerprint": "x"}
        (paths.run / "sleeper.pid").write_text(json.dumps({**record, **difference}))
        assert processes.pid("sleeper") is None
        processes.stop("sleeper")
        assert innocent.poll() is None
        assert processes.names() == []
    finally:
        innocent.kill()
        innocent.wait()


def test_a_component_deaf_to_the_request_is_killed(processes: Processes) -> None:
    processes.start(STUBBORN)
    pid = processes.pid("stubborn")
    assert pid is not None
    processes.wait_for("stubborn", "deaf", lambda: "deaf" in processes.tail("stubborn"), 10)
    processes.stop("stubborn", grace=0.2)
    assert start_time(pid) is None


def test_a_wait_ends_when_the_component_does_and_shows_what_it_said(processes: Processes) -> None:
    processes.start(Service("broken", ("/bin/sh", "-c", "echo no such flag >&2; exit 2")))
    begun = time.monotonic()
    with pytest.raises(SandboxError, match="ended before it was ready") as caught:
        processes.wait_for("broken", "the broken one", lambda: False, 60)
    assert "no such flag" in str(caught.value)
    assert time.monotonic() - begun < 10


def test_a_wait_has_a_deadline(processes: Processes) -> None:
    processes.start(SLEEPER)
    with pytest.raises(SandboxError, match="not ready within"):
        processes.wait_for("sleeper", "the sleeper", lambda: False, 0.3)


def test_the_callers_environment_does_not_reach_a_component(processes: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    processes.start(Service("printer", ("/bin/sh", "-c", "env; sleep 600"), {"OWN": "mine"}))
    processes.wait_for("printer", "its environment", lambda: "OWN=mine" in processes.tail("printer"), 10)
    assert "HTTPS_PROXY" not in processes.tail("printer", 200)
