"""What containerd, kubelet and the CNI plugins put outside our state, at places nobody can change, and its removal.

A directory that was not there before the sandbox is removed whole; in one that was, only what is ours.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from gsv_sandbox.machine import mounts_below
from gsv_sandbox.state import Paths, read_json, write_private

RUN_CONTAINERD = Path("/run/containerd")
CONTAINER_LOGS = Path("/var/log/containers")
CNI_RESULTS = Path("/var/lib/cni/results")
NETWORK_NAME = "gsv-sandbox"
DIRECTORIES = (
    RUN_CONTAINERD,
    Path("/run/runc"),
    CONTAINER_LOGS,
    Path("/var/log/pods"),
    Path("/var/lib/kubelet"),
    Path("/var/lib/cni"),
    Path("/usr/libexec/kubernetes"),
)


def record(paths: Paths, directories: Iterable[Path] = DIRECTORIES) -> None:
    """Note which of the directories are absent; a note that is there already is from before the first start."""
    if not _note(paths).exists():
        absent = [str(directory) for directory in directories if not directory.exists()]
        write_private(_note(paths), json.dumps({"absent": absent}))


def find(paths: Paths) -> list[Path]:
    """Our files outside the state root. Ask before containerd's state is removed: it names them."""
    found: list[Path] = []
    for bundle in paths.containerd.glob("state/io.containerd.runtime.v2.task/k8s.io/*"):
        found.append(RUN_CONTAINERD / "runc" / "k8s.io" / bundle.name)
        address = bundle / "address"
        if address.exists():
            socket = Path(address.read_text().strip().removeprefix("unix://"))
            if socket.is_relative_to(RUN_CONTAINERD):
                found.append(socket)
    if CONTAINER_LOGS.is_dir():
        found += [log for log in CONTAINER_LOGS.iterdir() if log.is_symlink() and log.readlink().is_relative_to(paths.root)]
    if CNI_RESULTS.is_dir():
        found += CNI_RESULTS.glob(f"{NETWORK_NAME}-*")
    return found


def remove(paths: Paths, found: Iterable[Path]) -> list[str]:
    """Remove them, and the directories that were not there before us; what had to stay."""
    left = []
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    absent = read_json(_note(paths)).get("absent", [])
    for directory in [Path(str(name)) for name in absent] if isinstance(absent, list) else []:
        # Another containerd may have been started since, and then it is no longer only ours.
        if not directory.exists() or (directory / "containerd.sock").exists():
            continue
        if mounts_below(directory):
            left.append(f"{directory} (something is mounted below it)")
        else:
            shutil.rmtree(directory, ignore_errors=True)
    return left


def _note(paths: Paths) -> Path:
    return paths.root / "absent.json"
