"""Deleting many objects: the whole of prune_replicasets, the guide's own pipeline, and the official Go client flat out, in one run.

A bare etcd and kube-apiserver on loopback hold complete Deployments with REPLICASETS ReplicaSets each, of which the newest runs. The Go
program (benchmarks/go) and kubectl are built once, by Go, into a cache of their own. What is compared: `prune_replicasets` with `keep: 0`
as a run in this process, which lists, plans with every rule, writes every object to an undo bundle, guards each deletion by uid and
resourceVersion, and asks again at the end; against a Go program that lists and deletes with 16 workers, and keeps and guards nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from gsv_ops.cleanup.jobs import REPLICASETS
from gsv_ops.kube import client as kube_client
from gsv_ops.kube.resources import REPLICA_SET
from gsv_ops.platform.spec import PLATFORM_FILE
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.control_plane import control_plane

DEPLOYMENTS = int(os.environ.get("BENCH_DEPLOYMENTS", "3000"))
EACH = 10
SAMPLE = 20
"""Deployments for the guide's pipeline, which deletes one after the other and waits for each."""
SOURCES = Path(__file__).with_name("go")
KUBECTL, DELETIONS = "kubectl", "deletions"
BUILD_SECONDS = 1800
PIPELINE = "kubectl get rs -n guide -o wide | awk '$2==0 {print $1}' | xargs -r kubectl delete rs -n guide"
"""Chapter 10.5 of the operator guide."""


@dataclass(frozen=True)
class Result:
    """How many objects one way deleted, and how long it took."""

    way: str
    objects: int
    seconds: float

    @property
    def rate(self) -> float:
        """Objects per second."""
        return self.objects / self.seconds


def measure() -> str:
    """Measure; the results as Markdown. The two ways that are compared go A B B A, each time over a quarter of the objects."""
    programs = build()
    with control_plane() as kubeconfig:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "PATH": f"{programs}:{os.environ['PATH']}"}
        quarters = ("ours-1", "go-1", "go-2", "ours-2")
        for namespace, number in (*((name, DEPLOYMENTS // 4) for name in quarters), ("guide", SAMPLE)):
            _go(programs, environment, "fill", namespace, str(number), str(EACH))
        found: dict[str, list[Result]] = {"ours": [], "go": []}
        with a_desk(kubeconfig) as desk:
            for namespace in quarters:
                way = namespace.partition("-")[0]
                found[way].append(_ours(desk, namespace) if way == "ours" else _theirs(programs, environment, namespace))
                left = len(desk.kube.list(REPLICA_SET, namespace, metadata_only=True))
                assert left == DEPLOYMENTS // 4, f"{way} left {left} ReplicaSets in {namespace}"
            guide = _guide(environment, desk)
    return table(_sum("gsv_ops", found["ours"]), _sum("client-go", found["go"]), guide)


def build() -> Path:
    """The folder with kubectl and the Go program, built if they are not there."""
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(SOURCES.rglob("*")) if path.is_file())).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gsv-benchmarks" / digest
    if not all((cache / name).exists() for name in (KUBECTL, DELETIONS)):
        cache.mkdir(parents=True, exist_ok=True)
        command = ["go", "build", "-trimpath", "-o", f"{cache}/", "./deletions", "k8s.io/kubernetes/cmd/kubectl"]
        environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly", "GOTOOLCHAIN": "local"}
        subprocess.run(command, cwd=SOURCES, env=environment, check=True, timeout=BUILD_SECONDS)
    return cache


@contextmanager
def a_desk(kubeconfig: Path) -> Iterator[DeskHere]:
    """A desk that may delete that much, without a plan that was read before."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        body = yaml.safe_load(PLATFORM_FILE.read_text())
        body["cleanup"] |= {"scheduled_deletions": True, "most_objects": DEPLOYMENTS * EACH, "most_percent": 100}
        file = Path(folder) / "platform.yaml"
        file.write_text(yaml.safe_dump(body))
        patch.setenv("GSV_PLATFORM_FILE", str(file))
        with desk_here(kube_client.connect(kubeconfig), Path(folder), patch) as desk:
            yield desk


def _ours(desk: DeskHere, namespace: str) -> Result:
    before, begun = len(desk.bundles()), time.perf_counter()
    ran = desk.run(REPLICASETS, mode="apply", namespace=namespace, keep=0, older_than_hours=0)
    seconds = time.perf_counter() - begun
    assert ran.success, desk.failure(ran)
    assert len(desk.bundles()) > before
    return Result("", desk.shown(ran)["actions"], seconds)


def _theirs(programs: Path, environment: dict[str, str], namespace: str) -> Result:
    begun = time.perf_counter()
    done = _go(programs, environment, "delete", namespace)
    return Result("", done, time.perf_counter() - begun)


def _guide(environment: dict[str, str], desk: DeskHere) -> Result:
    begun = time.perf_counter()
    subprocess.run(["bash", "-c", PIPELINE], env=environment, check=True, stdout=subprocess.DEVNULL, timeout=BUILD_SECONDS)
    seconds = time.perf_counter() - begun
    left = len(desk.kube.list(REPLICA_SET, "guide", metadata_only=True))
    return Result("guide", SAMPLE * EACH - left, seconds)


def _go(programs: Path, environment: dict[str, str], *arguments: str) -> int:
    done = subprocess.run([str(programs / DELETIONS), *arguments], env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return int(json.loads(done.stdout)["objects"])


def _sum(way: str, results: list[Result]) -> Result:
    return Result(way, sum(one.objects for one in results), sum(one.seconds for one in results))


def table(ours: Result, theirs: Result, guide: Result) -> str:
    """The results as Markdown."""
    ways = {
        "gsv_ops: `prune_replicasets` whole, with rules, guards, undo bundles and verification": ours,
        "client-go: list and delete with 16 workers, nothing else": theirs,
        "the operator guide's pipeline: kubectl, awk, xargs": guide,
    }
    rows = [
        f"| {way} | {one.objects} | {one.seconds:.1f} | {one.rate:.0f} | {one.rate / theirs.rate:.2f} |"
        if one.rate >= 10
        else f"| {way} | {one.objects} | {one.seconds:.1f} | {one.rate:.1f} | {one.rate / theirs.rate:.3f} |"
        for way, one in ways.items()
    ]
    load = os.getloadavg()[1]
    return "\n".join(
        (
            "# Deleting many objects",
            "",
            f"{DEPLOYMENTS * EACH} ReplicaSets of {DEPLOYMENTS} Deployments, a quarter for each turn of the first two, which go A B B A; "
            f"{SAMPLE * EACH} more for the pipeline. A bare etcd (without fsync) and kube-apiserver {_version()} on loopback share the "
            f"{os.cpu_count()} cores with what is measured. client-go {_module('k8s.io/client-go')}, Python {platform.python_version()}. "
            f"Load average over the last 5 minutes: {load:.1f}.",
            "",
            "| way | deleted | s | a second | of client-go |",
            "|---|---|---|---|---|",
            *rows,
            "",
        )
    )


def _version() -> str:
    return _module("k8s.io/kubernetes")


def _module(name: str) -> str:
    line = next(line for line in (SOURCES / "go.mod").read_text().splitlines() if line.strip().startswith(f"{name} v"))
    return line.split()[1]
