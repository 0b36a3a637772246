"""One control group over everything the sandbox runs, so that nothing of it can be lost, whatever was killed.

Components are put into `gsv-sandbox/components`, kubelet makes the pods' groups below `gsv-sandbox`, and what they fork
stays inside: also a process whose pid file is gone is found here. Version 1 (one hierarchy per controller) and 2 alike.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

NAME = "gsv-sandbox"


@dataclass(frozen=True)
class Hierarchies:
    """The machine's control group file systems: `all` of them, and the one that `tracking` is done in."""

    all: tuple[Path, ...]
    tracking: Path

    @property
    def components(self) -> Path:
        """The group that components are started in."""
        return self.tracking / NAME / "components"


def hierarchies(mounts: str | None = None) -> Hierarchies | None:
    """What /proc/mounts says (`mounts`: its text); None when the machine mounts no control groups."""
    text = Path("/proc/mounts").read_text() if mounts is None else mounts
    v1: list[Path] = []
    v2: list[Path] = []
    for line in text.splitlines():
        _, point, kind, *_ = line.split(" ")
        if kind in ("cgroup", "cgroup2"):
            (v2 if kind == "cgroup2" else v1).append(Path(point))
    if not v1 and not v2:
        return None
    # Version 2 names every process once, also where version 1 does the limiting.
    return Hierarchies(all=tuple(v1 + v2), tracking=(v2 or v1)[0])


def components() -> Path | None:
    """The group of the sandbox's components; None on a machine without control groups."""
    found = hierarchies()
    return None if found is None else found.components


def make(found: Hierarchies) -> None:
    """Make the sandbox's group in every hierarchy: kubelet refuses a cgroupRoot that is not there."""
    for hierarchy in found.all:
        group = hierarchy / NAME
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A new group of version 1 has no processors: nothing could be put into it.
            with contextlib.suppress(OSError):
                if (group / name).exists() and not (group / name).read_text().strip():
                    (group / name).write_text((hierarchy / name).read_text())
    found.components.mkdir(exist_ok=True)


def members(found: Hierarchies, below: str = "") -> set[int]:
    """The ids of all processes in the sandbox's groups, or only in those below one of them."""
    pids: set[int] = set()
    for hierarchy in found.all:
        for directory, _, files in os.walk(hierarchy / NAME / below):
            if "cgroup.procs" in files:
                with contextlib.suppress(OSError):
                    pids |= {int(pid) for pid in (Path(directory) / "cgroup.procs").read_text().split()}
    return pids - {0, os.getpid()}


def kill_members(found: Hierarchies, deadline: float = 20, below: str = "") -> set[int]:
    """Kill every process in the groups and wait until they are gone; whoever is left after `deadline` seconds."""
    end = time.monotonic() + deadline
    while pids := members(found, below):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > end:
            return pids
        time.sleep(0.05)
    return set()


def remove(found: Hierarchies, deadline: float = 10) -> list[Path]:
    """Remove the groups, innermost first; those that are still there after `deadline` seconds."""
    end = time.monotonic() + deadline
    while True:
        left = []
        for hierarchy in found.all:
            for directory, _, _ in os.walk(hierarchy / NAME, topdown=False):
                try:
                    Path(directory).rmdir()
                except FileNotFoundError:
                    continue
                except OSError:
                    left.append(Path(directory))
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)
