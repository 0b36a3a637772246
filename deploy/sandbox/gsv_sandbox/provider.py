"""Where the cluster comes from: an existing one, kind, or native; which one, and why that one."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console

from gsv_sandbox.errors import SandboxError
from gsv_sandbox.existing import Existing
from gsv_sandbox.kind import Kind
from gsv_sandbox.machine import run
from gsv_sandbox.native import Native
from gsv_sandbox.state import Paths

NAMES = ("existing", "kind", "native")


class Provider(Protocol):
    """One way to have a cluster."""

    name: str

    def up(self, *, seed: bool = True) -> None: ...

    def down(self, *, purge: bool = False) -> None: ...

    def kubeconfig(self, identity: str) -> Path: ...

    def components(self) -> list[tuple[str, int | None]]: ...

    def health(self) -> list[tuple[str, bool, str]]: ...


@dataclass(frozen=True)
class Choice:
    """The provider's name and the reason it was chosen, as it is printed."""

    name: str
    reason: str


@dataclass(frozen=True)
class Surroundings:
    """What the choice depends on. `docker_answers` is asked only when it matters: it can take seconds."""

    kubeconfig: str
    is_linux: bool
    is_root: bool
    docker_answers: Callable[[], bool]
    native_runs: bool


def choose(forced: str | None, here: Surroundings, paths: Paths) -> Choice:
    """The first provider that fits. SandboxError, with all three ways to mend it, when none does."""
    # The sandbox's own kubeconfig is what `gsv-sandbox env` exports: it names no cluster of the user's.
    own = bool(here.kubeconfig) and Path(here.kubeconfig).resolve().is_relative_to(paths.root)
    if forced == "existing" and (not here.kubeconfig or own):
        raise SandboxError("GSV_KUBECONFIG names no existing cluster", "set it to the path of a kubeconfig")
    if forced is not None:
        return Choice(forced, "asked for with --provider")
    if here.kubeconfig and not own:
        return Choice("existing", f"GSV_KUBECONFIG is set to {here.kubeconfig}")
    if here.native_runs:
        return Choice("native", f"its sandbox is at {paths.root}")
    if here.docker_answers():
        return Choice("kind", "a Docker engine answers")
    if here.is_linux and here.is_root:
        return Choice("native", "this is Linux, we are root, and no Docker engine answers")
    raise SandboxError(
        "no provider fits: GSV_KUBECONFIG is not set, no Docker engine answers, and we are not root on Linux",
        "name a cluster with GSV_KUBECONFIG, or start Docker and install kind, or run as root on Linux",
    )


def look_around(environment: Mapping[str, str], paths: Paths) -> Surroundings:
    """This machine's surroundings."""
    return Surroundings(
        kubeconfig=environment.get("GSV_KUBECONFIG", ""),
        is_linux=platform.system() == "Linux",
        is_root=os.geteuid() == 0,
        docker_answers=docker_answers,
        native_runs=paths.machine_record.exists(),
    )


def docker_answers() -> bool:
    """Whether a Docker engine answers within five seconds; the command alone is not enough."""
    if not shutil.which("docker"):
        return False
    try:
        return run("docker", "version", "--format", "{{.Server.Version}}", check=False, timeout=5).code == 0
    except OSError:
        return False


def make(choice: Choice, environment: Mapping[str, str], paths: Paths, console: Console) -> Provider:
    """The provider of that name."""
    if choice.name == "existing":
        return Existing(Path(environment["GSV_KUBECONFIG"]))
    return Kind(paths) if choice.name == "kind" else Native(paths, console)
