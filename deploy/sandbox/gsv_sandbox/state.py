"""Where the sandbox keeps what it makes: one state root that `down` removes, one cache that survives it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from gsv_sandbox.errors import SandboxError

STATE_VARIABLE = "GSV_SANDBOX_STATE"
CACHE_VARIABLE = "GSV_SANDBOX_CACHE"
DEFAULT_STATE = Path("/var/lib/gsv-sandbox")

# A unix socket's path may be 107 bytes long; containerd appends to ours.
LONGEST_STATE_PATH = 60


@dataclass(frozen=True)
class Paths:
    """The sandbox's directories. `root` goes with `down`, `cache` only with `down --purge`."""

    root: Path
    cache: Path

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def run(self) -> Path:
        return self.root / "run"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def containerd(self) -> Path:
        return self.root / "containerd"

    @property
    def kubelet(self) -> Path:
        return self.root / "kubelet"

    @property
    def machine_record(self) -> Path:
        return self.root / "machine.json"

    def kubeconfig(self, identity: str) -> Path:
        """The kubeconfig of one identity: admin, operator, readonly, or a component's name."""
        return self.root / "kubeconfig" / f"{identity}.yaml"

    def make(self) -> None:
        """Make the state root and its directories, closed to everyone but their owner."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in (self.pki, self.config, self.logs, self.run, self.data, self.root / "kubeconfig"):
            directory.mkdir(exist_ok=True, mode=0o700)
        # Pods run as other users and must reach their volumes and logs below the root.
        self.root.chmod(0o711)
        self.data.chmod(0o711)


def paths_from(environment: Mapping[str, str]) -> Paths:
    """The sandbox's paths as the environment sets them.

    Raises SandboxError when the state root is relative, is a directory of the system, or is too long for a socket.
    """
    root = Path(environment.get(STATE_VARIABLE) or DEFAULT_STATE)
    if not root.is_absolute() or len(root.parts) < 3:
        raise SandboxError(
            f"{STATE_VARIABLE}={root} is not a directory of the sandbox's own",
            f"give an absolute path at least two levels deep, such as {DEFAULT_STATE}: `down` removes it",
        )
    if len(str(root)) > LONGEST_STATE_PATH:
        raise SandboxError(
            f"{STATE_VARIABLE}={root} is {len(str(root))} characters long; sockets below it allow {LONGEST_STATE_PATH}",
            "give a shorter path",
        )
    cache_home = Path(environment.get("XDG_CACHE_HOME") or Path(environment.get("HOME") or "/") / ".cache")
    return Paths(root=root, cache=Path(environment.get(CACHE_VARIABLE) or cache_home / "gsv-sandbox"))


def write_private(path: Path, text: str) -> bool:
    """Write `text` at once and whole, readable by its owner only; True when the content changed.

    An unchanged file is left alone: kube-proxy exits whenever its configuration is written again.
    """
    if path.exists() and path.read_text() == text:
        return False
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    return True


def read_json(path: Path) -> dict[str, object]:
    """The object in `path`; empty when the file is absent or was cut short by a crash."""
    try:
        found = json.loads(path.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return found if isinstance(found, dict) else {}


def boot_id() -> str:
    """The kernel's name for this boot: process ids and sysctls recorded under another one mean nothing."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@contextmanager
def only_one(lock: Path, what: str) -> Iterator[None]:
    """Hold `lock` while the block runs; SandboxError at once when another process holds it."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            flock(file, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            raise SandboxError(f"another {what} is under way ({lock})", "wait for it to end, then try again") from None
        yield
