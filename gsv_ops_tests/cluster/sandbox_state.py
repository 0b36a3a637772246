"""What the sandbox's own tests ask of the machine, by other means than the sandbox's code."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from gsv_sandbox.state import Paths

COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "containerd",
    "kubelet",
    "kube-proxy",
    "coredns",
    "s3",
    "local-path-provisioner",
    "metrics-server",
)
# Every value the sandbox, kubelet or kube-proxy is known to touch, and whole families beside them.
SYSCTLS = (
    r"(kernel\.panic|vm\.(overcommit|panic|max_map)|kernel\.keys|net\.ipv[46]\.(ip_forward|conf\.(all|default)|neigh\.default)|net\.bridge)"
)


def gsv_sandbox(*arguments: str, expect: int = 0, timeout: float = 600) -> str:
    """The output of one command of the sandbox, as a user runs it."""
    argv = [sys.executable, "-m", "gsv_sandbox.cli", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in ("GSV_KUBECONFIG", "KUBECONFIG")}
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == expect, f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def component_pids(paths: Paths) -> dict[str, int | None]:
    """{component: pid, None when its process does not live}, from the pid files and /proc."""
    found: dict[str, int | None] = {}
    for name in COMPONENTS:
        file = paths.run / f"{name}.pid"
        pid = json.loads(file.read_text())["pid"] if file.exists() else None
        found[name] = pid if pid and Path(f"/proc/{pid}/exe").exists() else None
    return found


def traces(paths: Paths) -> dict[str, list[str]]:
    """Everything on the machine that a sandbox could leave: processes, mounts, devices, rules, routes, groups, files, values."""
    state = str(paths.root)
    return {
        "processes": [line for line in _out("ps", "-eo", "args").splitlines() if state in line],
        "groups": [str(path) for path in Path("/sys/fs/cgroup").glob("**/gsv-sandbox")],
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if state in line],
        "devices": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "routes": [line for line in _out("ip", "route", "show", "table", "all").splitlines() if re.search(r"10\.(88|96)\.|gsv0", line)],
        "rules": _out("nft", "list", "tables").splitlines(),
        "namespaces": sorted(path.name for path in Path("/run/netns").glob("*")),
        "directories": [str(path) for path in _places(paths) if path.exists()],
        "sockets": sorted(str(path) for path in Path("/run/containerd/s").glob("*")),
        "sysctls": [line for line in _out("sysctl", "-a").splitlines() if re.match(SYSCTLS, line)],
    }


def _places(paths: Paths) -> list[Path]:
    return [paths.root, Path("/run/containerd"), Path("/var/lib/kubelet"), Path("/var/lib/cni"), Path("/var/log/containers")]


def _out(*argv: str) -> str:
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False, timeout=60).stdout
