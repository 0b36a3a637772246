"""What the fault table breaks, each for as long as a block lasts: broken from outside, and put back whatever happens."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gsv_sandbox import objectstore, platform
from gsv_sandbox.processes import Processes
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.outside import CLUSTER, CNPG, NAMESPACE, Outside, until


@contextmanager
def taken_from_the_store(outside: Outside, segment: str) -> Iterator[None]:
    """A WAL segment that is not in the store. It is moved and not copied: the store keeps what it knows of an object in xattrs."""
    file = outside.wal_files()[segment]
    aside = outside.store.parent / f"{segment}.aside"
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


@contextmanager
def no_wal_taken(outside: Outside) -> Iterator[None]:
    """A store that takes base backups and no WAL of cmp-postgres: a file stands where its folder was."""
    wals = outside.store / CLUSTER / "wals"
    aside = wals.with_name("wals-aside")
    wals.rename(aside)
    wals.write_text("nothing can be put below a file")
    try:
        yield
    finally:
        wals.unlink()
        aside.rename(wals)
        archives_again(outside)


@contextmanager
def no_object_store(outside: Outside, sandbox: Paths) -> Iterator[None]:
    """The store's process is ended, and started again afterwards as it was."""
    processes = Processes(sandbox)
    pid = processes.pid(objectstore.NAME)
    assert pid is not None, "the store does not run"
    binaries = Path(f"/proc/{pid}/exe").readlink().parent
    processes.stop(objectstore.NAME)
    try:
        yield
    finally:
        objectstore.up(sandbox, binaries, processes, platform.buckets(platform.overlay()))
        archives_again(outside)


@contextmanager
def parameter_of_the_source(outside: Outside, name: str, value: str) -> Iterator[None]:
    """cmp-postgres with another PostgreSQL parameter (one that is only reloaded)."""
    before = copy.deepcopy(outside.get("clusters", CLUSTER)["spec"]["postgresql"]["parameters"].get(name))

    def patch(to: Any) -> None:
        body = {"spec": {"postgresql": {"parameters": {name: to}}}}
        outside.custom.patch_namespaced_custom_object(*CNPG, NAMESPACE, "clusters", CLUSTER, body)

    patch(value)
    try:
        yield
    finally:
        patch(before)


def promote_the_replica(outside: Outside) -> None:
    """As CloudNativePG's own plugin does it: the target primary, through the status subresource. Until a primary is settled."""
    body = outside.get("clusters", CLUSTER)
    status = body["status"]
    replica = next(name for name in status["instanceNames"] if name != status["currentPrimary"])
    patch = {
        "metadata": {"resourceVersion": body["metadata"]["resourceVersion"]},
        "status": {"targetPrimary": replica, "phase": "Switchover in progress", "phaseReason": f"Switching over to {replica}"},
    }
    outside.custom.patch_namespaced_custom_object_status(*CNPG, NAMESPACE, "clusters", CLUSTER, patch)
    until(lambda: outside.primary() == replica and outside.answers(replica), 120, f"{replica} to be primary")


def archives_again(outside: Outside) -> None:
    """Wait until it does. A segment that ends wakes the archiver, which else rests for a minute after three failures."""
    outside.psql(outside.primary(), "select pg_switch_wal()")
    until(outside.healthy, 150, f"{CLUSTER} to archive again")
