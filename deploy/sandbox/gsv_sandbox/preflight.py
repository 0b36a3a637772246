"""What must hold on this machine before anything is changed, each failure with the way to mend it."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Callable, Iterable
from pathlib import Path

from gsv_sandbox import binaries, cgroups, network
from gsv_sandbox.addresses import BRIDGE, BRIDGE_PORTS, LOOPBACK, LOOPBACK_PORTS, NODE_IP
from gsv_sandbox.catalogue import SOURCES, required_go
from gsv_sandbox.errors import PreflightError, SandboxError
from gsv_sandbox.state import CACHE_VARIABLE, STATE_VARIABLE, Paths

LEAST_MEMORY_GIB = 4.0
LEAST_DISK_GIB = 15.0
GIB = 1 << 30


def check(paths: Paths) -> None:
    """Everything that can be checked without changing the machine; PreflightError that lists all that fails.

    Call it only when no component of the sandbox runs: its own ports and bridge would count as taken.
    """
    collect([root, go, memory, lambda: disk(paths), kernel])


def check_network(paths: Paths) -> None:
    """That the ports, ranges and tables the sandbox needs are nobody else's; needs the tools of debian.py."""
    collect([ranges, firewall, proxy, ports, lambda: attributes(paths)])


def collect(checks: Iterable[Callable[[], None]]) -> None:
    """Run every check and raise all that failed as one PreflightError."""
    problems = []
    for one in checks:
        try:
            one()
        except SandboxError as problem:
            problems.append(problem)
    if problems:
        raise PreflightError(problems)


def root(uid: int | None = None) -> None:
    if (os.geteuid() if uid is None else uid) != 0:
        raise SandboxError("not root", "run it with sudo: containers, a bridge and mounts need it")


def go(found: str | None = None) -> None:
    version = binaries.go_version() if found is None else found
    wanted = required_go((SOURCES / "go.mod").read_text())
    if _numbers(version) < _numbers(wanted):
        raise SandboxError(f"Go is {version}, too old", f"install Go {wanted} or newer and put its `go` on PATH")


def memory(meminfo: str | None = None) -> None:
    text = Path("/proc/meminfo").read_text() if meminfo is None else meminfo
    available = next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("MemAvailable:"))
    if available < LEAST_MEMORY_GIB * GIB:
        raise SandboxError(
            f"{available / GIB:.1f} GiB of memory are available, {LEAST_MEMORY_GIB:.0f} GiB are needed",
            "end other programs, or use a machine with more",
        )


def disk(paths: Paths, free: Callable[[Path], int] | None = None) -> None:
    for variable, path in ((STATE_VARIABLE, paths.root), (CACHE_VARIABLE, paths.cache)):
        place = next(parent for parent in (path, *path.parents) if parent.exists())
        available = free(place) if free else shutil.disk_usage(place).free
        if available < LEAST_DISK_GIB * GIB:
            raise SandboxError(
                f"{available / GIB:.1f} GiB are free at {place}, {LEAST_DISK_GIB:.0f} GiB are needed",
                f"make room, or point {variable} at another disk",
            )


def kernel(filesystems: str | None = None) -> None:
    text = Path("/proc/filesystems").read_text() if filesystems is None else filesystems
    if "overlay" not in text.split():
        raise SandboxError("the kernel has no overlayfs", "load it: modprobe overlay")
    if cgroups.hierarchies() is None:
        raise SandboxError("no control groups are mounted", "mount them: mount -t cgroup2 none /sys/fs/cgroup")


def alone(paths: Paths, owner: Path | None = None) -> None:
    """That no other sandbox is on this machine: bridge, addresses and control group are the same for all."""
    other = owner or network.owner()
    if other is not None and other != paths.root and other.exists():
        raise SandboxError(
            f"another sandbox is on this machine, with its state at {other}",
            f"use that one, or end it: {STATE_VARIABLE}={other} gsv-sandbox down",
        )


def ranges() -> None:
    taken = network.taken_ranges()
    if taken:
        raise SandboxError(
            f"addresses that the sandbox needs are routed elsewhere: {', '.join(taken)}",
            f"take those routes away while it runs (`ip route`); it uses its own on the bridge {BRIDGE}",
        )


def firewall() -> None:
    chains = network.dropping_forward_chains() if network.BRIDGE_FILTER.exists() else []
    if chains:
        raise SandboxError(
            f"a firewall drops what pods send each other: {', '.join(chains)} (policy drop; Docker sets this)",
            f"allow it while the sandbox runs: iptables -I FORWARD -i {BRIDGE} -o {BRIDGE} -j ACCEPT, or use `--provider kind`",
        )


def proxy() -> None:
    found = [f"{family} {name}" for family, name in network.PROXY_TABLES if (family, name) in network.tables()]
    if found and not network.exists():
        raise SandboxError(
            f"another Kubernetes node runs on this machine, or ran (nftables table {', '.join(found)})",
            "stop it; if none runs, delete its tables: " + "; ".join(f"nft delete table {table}" for table in found),
        )


def ports() -> None:
    """Ports are asked for by binding them. An address that is not there yet is asked for through any address."""
    here = network.exists()
    taken = [f"{LOOPBACK}:{port}" for port in LOOPBACK_PORTS if not _is_free(LOOPBACK, port)]
    taken += [f"{NODE_IP}:{port}" for port in BRIDGE_PORTS if not _is_free(NODE_IP if here else "127.88.0.2", port)]
    if taken:
        raise SandboxError(
            f"ports are taken by other programs: {', '.join(taken)}",
            "see who listens with `ss -ltnp`, and stop it or bind it to one address",
        )


def attributes(paths: Paths) -> None:
    """The object store keeps an object's metadata in extended attributes of its file."""
    place = next(parent for parent in (paths.root, *paths.root.parents) if parent.exists())
    probe = place / f".gsv-sandbox-probe-{os.getpid()}"
    try:
        probe.touch()
        os.setxattr(probe, "user.gsv", b"1")
    except OSError as error:
        raise SandboxError(
            f"the file system at {place} keeps no extended attributes ({error.strerror})",
            f"point {STATE_VARIABLE} at one that does, such as ext4 or xfs",
        ) from None
    finally:
        probe.unlink(missing_ok=True)


def _is_free(address: str, port: int) -> bool:
    for kind in (socket.SOCK_STREAM, *((socket.SOCK_DGRAM,) if port == 53 else ())):
        with socket.socket(socket.AF_INET, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address, port))
            except OSError:
                return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])
