"""The tools that the sandbox takes from the system: which are missing, and on Debian and Ubuntu their installation."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from gsv_sandbox.errors import SandboxError

CNI_PLUGINS = Path("/usr/lib/cni")

# What must be there -> the Debian package that brings it.
NEEDED = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    str(CNI_PLUGINS / "bridge"): "containernetworking-plugins",
    str(CNI_PLUGINS / "host-local"): "containernetworking-plugins",
    str(CNI_PLUGINS / "loopback"): "containernetworking-plugins",
    "nft": "nftables",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "mount": "mount",
    "busybox": "busybox-static",
    "debootstrap": "debootstrap",
    # debootstrap proves the packages it fetches with these keys; Ubuntu does not have them by itself.
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
    "gcc": "gcc",
    "/usr/include/stdlib.h": "libc6-dev",
}
INSTALL_SECONDS = 600


def missing_packages(needed: dict[str, str] | None = None) -> list[str]:
    """The packages whose tools are not there, each once, sorted."""
    wanted = NEEDED if needed is None else needed
    return sorted({package for tool, package in wanted.items() if not _is_there(tool)})


def ensure(say: Callable[[str], None], os_release: Path = Path("/etc/os-release"), needed: dict[str, str] | None = None) -> None:
    """Install what is missing where this is Debian or Ubuntu and we are root; SandboxError that names it elsewhere."""
    packages = missing_packages(needed)
    if not packages:
        return
    command = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *packages]
    if not is_debian(os_release) or os.geteuid() != 0:
        raise SandboxError(
            f"packages are missing (by their Debian names): {' '.join(packages)}",
            "install them with your system's package manager; on Debian and Ubuntu, as root: " + " ".join(command),
        )
    say(f"installing Debian packages: {' '.join(packages)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for attempt in (["apt-get", "update", "--quiet"], command):
        done = subprocess.run(attempt, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
        if done.returncode != 0 and attempt is command:
            raise SandboxError(
                f"apt-get could not install {' '.join(packages)}:\n{(done.stdout + done.stderr)[-2000:].strip()}",
                "run this yourself and mend what it names: " + " ".join(command),
            )
    if still := missing_packages(needed):
        raise SandboxError(f"installed, and still not found: {' '.join(still)}", "look where your system puts them")


def is_debian(os_release: Path = Path("/etc/os-release")) -> bool:
    """Whether this is Debian or made from it, as Ubuntu is."""
    if not os_release.exists():
        return False
    values = dict(line.split("=", 1) for line in os_release.read_text().splitlines() if "=" in line)
    names = {values.get("ID", "").strip('"'), *values.get("ID_LIKE", "").strip('"').split()}
    return "debian" in names


def _is_there(tool: str) -> bool:
    return Path(tool).exists() if tool.startswith("/") else shutil.which(tool) is not None
