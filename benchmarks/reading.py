"""Reading many objects: whole as raw JSON, their metadata alone, and with the official client's typed models, in one run.

A bare etcd and kube-apiserver on loopback hold OBJECTS ConfigMaps of KIB KiB each. Every way is run ROUNDS times, the ways taking turns,
and the median is shown.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from gsv_ops.kube import client as kube_client
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import CONFIG_MAP, NAMESPACE
from gsv_ops_tests.control_plane import control_plane

OBJECTS = 3000
KIB = 4
ROUNDS = 5
THREADS = 8
SPACE = "bench"


def measure() -> str:
    """Measure; the results as Markdown."""
    with control_plane() as kubeconfig:
        kube = kube_client.connect(kubeconfig)
        fill(kube)
        ways = {
            "gsv_ops, metadata only": lambda: kube.list(CONFIG_MAP, SPACE, metadata_only=True),
            "gsv_ops, whole objects as raw JSON": lambda: kube.list(CONFIG_MAP, SPACE),
            "official client, typed models, pages of 500": typed(kubeconfig),
        }
        return table(rounds(ways))


def fill(kube: Kube) -> None:
    """The namespace with its ConfigMaps."""
    kube.create({"apiVersion": NAMESPACE.api_version, "kind": NAMESPACE.kind, "metadata": {"name": SPACE}})

    def create(number: int) -> None:
        metadata = {"name": f"c{number:05}", "namespace": SPACE, "labels": {"number": str(number)}}
        kube.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "x" * KIB * 1024}})

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(create, range(OBJECTS)))


def typed(kubeconfig: Path) -> Callable[[], list[Any]]:
    """The same list with the official client as its documentation shows it, paged as ours is."""
    from kubernetes import client, config

    api = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))

    def read() -> list[Any]:
        found: list[Any] = []
        following = None
        while True:
            page = api.list_namespaced_config_map(SPACE, limit=500, _continue=following)
            found += page.items
            following = page.metadata._continue if page.metadata else None
            if not following:
                return found

    return read


def rounds(ways: dict[str, Callable[[], list[Any]]]) -> dict[str, list[float]]:
    """Seconds of every round of every way; each must read every object."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for name, way in ways.items():
        assert len(way()) == OBJECTS, f"{name} read another number of objects"  # and warms it up
    for _ in range(ROUNDS):
        for name, way in ways.items():
            begun = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - begun)
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """The results as Markdown."""
    base = statistics.median(next(iter(seconds.values())))
    rows = [
        f"| {name} | {statistics.median(found):.2f} | {min(found):.2f} to {max(found):.2f} | {statistics.median(found) / base:.1f} |"
        for name, found in seconds.items()
    ]
    return "\n".join(
        (
            "# Reading many objects",
            "",
            f"{OBJECTS} ConfigMaps of {KIB} KiB, {ROUNDS} rounds in turns, Python {platform.python_version()}, {os.cpu_count()} cores.",
            "",
            "| way | median, s | range, s | relative |",
            "|---|---|---|---|",
            *rows,
            "",
        )
    )
