"""Which provider is chosen, and why."""

from pathlib import Path

import pytest
from gsv_sandbox.errors import SandboxError
from gsv_sandbox.provider import Surroundings, choose
from gsv_sandbox.state import Paths

PATHS = Paths(Path("/var/lib/gsv-sandbox"), Path("/c"))


def here(kubeconfig: str = "", docker: bool = False, root: bool = True, linux: bool = True, runs: bool = False) -> Surroundings:
    return Surroundings(kubeconfig, linux, root, lambda: docker, runs)


@pytest.mark.parametrize(
    ("surroundings", "chosen", "reason"),
    [
        (here(kubeconfig="/home/a/config", docker=True, runs=True), "existing", "GSV_KUBECONFIG is set to /home/a/config"),
        (here(docker=True), "kind", "a Docker engine answers"),
        (here(), "native", "no Docker engine answers"),
        (here(docker=True, runs=True), "native", "its sandbox is at /var/lib/gsv-sandbox"),
        # What `gsv-sandbox env` exports names the sandbox itself.
        (here(kubeconfig="/var/lib/gsv-sandbox/kubeconfig/operator.yaml"), "native", "we are root"),
    ],
)
def test_the_first_that_fits(surroundings: Surroundings, chosen: str, reason: str) -> None:
    choice = choose(None, surroundings, PATHS)
    assert choice.name == chosen
    assert reason in choice.reason


@pytest.mark.parametrize("surroundings", [here(root=False), here(linux=False)])
def test_none_fits(surroundings: Surroundings) -> None:
    with pytest.raises(SandboxError, match="no provider fits") as caught:
        choose(None, surroundings, PATHS)
    for way in ("GSV_KUBECONFIG", "Docker", "root on Linux"):
        assert way in caught.value.mend


def test_force_wins_and_needs_no_docker_to_be_asked() -> None:
    def never() -> bool:
        pytest.fail("Docker was asked")

    surroundings = Surroundings("/home/a/config", True, True, never, False)
    assert choose("native", surroundings, PATHS).name == "native"


@pytest.mark.parametrize("kubeconfig", ["", "/var/lib/gsv-sandbox/kubeconfig/admin.yaml"])
def test_existing_cannot_be_forced_without_a_cluster_of_the_users(kubeconfig: str) -> None:
    with pytest.raises(SandboxError, match="names no existing cluster"):
        choose("existing", here(kubeconfig=kubeconfig), PATHS)
