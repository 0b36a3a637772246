"""A cleanup whose worker is killed between its undo bundle and its deletions: it goes on when it is run again, and all of it comes back."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import Outside
from gsv_ops_tests.cluster.workloads import Workloads

pytestmark = [pytest.mark.cluster, pytest.mark.faults]

NAMESPACE = "gsv-prune-killed"
ENDED, WAITING = 150, 20
CONFIG = {"namespace": NAMESPACE, "older_than_hours": 0}
KEPT_SECONDS = 120
NOTICED_SECONDS = 120
"""Until Dagster's monitor sees that the worker is gone."""
AGAIN_SECONDS = 180
"""The pool's slot of a killed run is free half a minute after its end was seen, and then as often as the monitor looks."""


@pytest.fixture(scope="module")
def space(outside: Outside) -> Iterator[Workloads]:
    """Many pods that ended, and a few that did not: a plan may not take nearly all."""
    here = Workloads(outside, NAMESPACE)
    try:
        here.make()
        here.leftovers([f"ended-{n:03d}" for n in range(ENDED)], "Succeeded")
        here.leftovers([f"waiting-{n:02d}" for n in range(WAITING)], "Pending")
        yield here
    finally:
        here.remove()


def test_killed_between_bundle_and_deletions_it_goes_on_when_run_again_and_comes_back(a_desk: ADesk, space: Workloads) -> None:
    before = set(space.pods())
    plan = a_desk.run("prune_pods", {"mode": "plan", **CONFIG}).outputs["plan"]
    assert plan["actions"] == ENDED

    run = a_desk.launch("prune_pods", {"mode": "apply", "plan_id": plan["plan"], **CONFIG})
    _kill_when_kept(a_desk, run)
    stayed = [name for name in space.pods() if name.startswith("ended-")]
    assert stayed, "all was deleted before it was killed, so this shows nothing"
    a_desk.follow(run, NOTICED_SECONDS)
    assert run.status == "FAILURE"

    again = a_desk.follow(a_desk.again(run), AGAIN_SECONDS)
    assert again.status == "SUCCESS", again.failure
    assert {name for name in space.pods() if name.startswith("ended-")} == set()
    assert len([name for name in space.pods() if name.startswith("waiting-")]) == WAITING

    undone = a_desk.run("undo", {"mode": "apply", "run": run.run_id})
    assert undone.status == "SUCCESS", undone.failure
    assert set(space.pods()) == before
    assert all(
        [gate.name for gate in pod.spec.scheduling_gates or []] == ["gsv-ops/put-back"]
        for name, pod in space.pods().items()
        if name.startswith("ended-")
    )


def _kill_when_kept(a_desk: ADesk, run: Run) -> None:
    """Stop the run's processes in the moment its bundle is there, and then kill them."""
    folder = a_desk.home / "dagster" / "undo"
    pids = set[int]()
    killed = list[int]()

    def wait_and_kill() -> None:
        deadline = time.monotonic() + KEPT_SECONDS
        while not list(folder.glob(f"{run.run_id}-*.yaml")):
            if time.monotonic() > deadline:
                return
            time.sleep(0.001)
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in list(pids):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                    killed.append(pid)

    # Dagster tells of the step's process seconds before that one writes its bundle; asking in between would miss the moment
    killer = threading.Thread(target=wait_and_kill)
    killer.start()
    while killer.is_alive():
        pids.update(a_desk.processes(run))
        killer.join(0.2)
    assert killed, "no undo bundle was written"
