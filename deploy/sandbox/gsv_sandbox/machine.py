"""What the sandbox changes on the machine itself, recorded before it is changed so that `down` can put it back."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gsv_sandbox.state import Paths, boot_id, read_json, write_private

# What we set, and what kubelet and kube-proxy set behind our back.
SYSCTLS = (
    "net/ipv4/ip_forward",
    "net/bridge/bridge-nf-call-iptables",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/conf/all/route_localnet",
    "net/netfilter/nf_conntrack_tcp_be_liberal",
)
PROC_SYS = Path("/proc/sys")


@dataclass(frozen=True)
class Command:
    """The result of a system tool: exit code and its output, both streams together."""

    code: int
    output: str


def run(*argv: str, check: bool = True, timeout: float = 60, stdin: str | None = None) -> Command:
    """Run a system tool; RuntimeError with its output when it fails and `check` is set."""
    done = subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"`{' '.join(argv)}` ended with {done.returncode}: {done.stdout.strip()}")
    return Command(done.returncode, done.stdout)


def record_sysctls(paths: Paths, names: Iterable[str] = SYSCTLS, proc_sys: Path = PROC_SYS) -> None:
    """Keep the values found before the sandbox changed any; a record of this boot is never overwritten."""
    found = read_json(paths.machine_record)
    kept = found.get("sysctls") if found.get("boot") == boot_id() else None
    values = dict(kept) if isinstance(kept, Mapping) else {}
    for name in names:
        file = proc_sys / name
        if name not in values and file.exists():
            values[name] = file.read_text().strip()
    write_private(paths.machine_record, json.dumps({"boot": boot_id(), "sysctls": values}, indent=1))


def restore_sysctls(paths: Paths, proc_sys: Path = PROC_SYS) -> list[str]:
    """Put every recorded value back that is another now; the names changed. After a reboot there is nothing to do."""
    found = read_json(paths.machine_record)
    values = found.get("sysctls")
    if found.get("boot") != boot_id() or not isinstance(values, Mapping):
        return []
    changed = []
    for name, value in values.items():
        file = proc_sys / name
        if file.exists() and file.read_text().strip() != value:
            file.write_text(str(value))
            changed.append(name.replace("/", "."))
    return changed


def set_sysctl(name: str, value: str, proc_sys: Path = PROC_SYS) -> None:
    """Set one value, `name` written with slashes; call record_sysctls first."""
    (proc_sys / name).write_text(value)


def mounts_below(root: Path, mountinfo: Path = Path("/proc/self/mountinfo")) -> list[Path]:
    """Every mount point below `root`, innermost first."""
    found = []
    for line in mountinfo.read_text().splitlines():
        point = Path(_unescape(line.split(" ")[4]))
        if point != root and point.is_relative_to(root):
            found.append(point)
    # The last mounted comes first: it may lie over an earlier one at the same place.
    found.reverse()
    return sorted(found, key=lambda point: len(point.parts), reverse=True)


def unmount_below(root: Path) -> list[Path]:
    """Unmount everything below `root`; what could not be unmounted even lazily."""
    for lazy in (False, True):
        for point in mounts_below(root):
            run("umount", *(["--lazy"] if lazy else []), "--no-canonicalize", str(point), check=False)
    return mounts_below(root)


def _unescape(text: str) -> str:
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, character)
    return text
