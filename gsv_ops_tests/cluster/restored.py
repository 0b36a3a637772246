"""A proof whose worker stands still while the restored database is looked at, or changed, by psql."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import PROOF_SECONDS, ADesk, short
from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until

UNTOUCHED = "registry.agents"
DIGEST_OF_UNTOUCHED = f"select count(*), md5(string_agg(x::text, '|' order by x::text)) from {UNTOUCHED} x"
"""Of a table that the writer leaves alone."""


@dataclass(frozen=True)
class Seen:
    """A proof that has ended, and what the API server and psql said of its scratch cluster while it stood."""

    run: Run
    body: dict[str, Any]
    counts: dict[str, int]
    untouched: list[list[str]]
    newest_commit: int


def scratch_of(run: Run) -> str:
    """The name of a proof's scratch cluster."""
    return f"{CLUSTER}-proof-{short(run)}"


def moment_scratch_of(run: Run) -> str:
    """The same of a proof of a moment."""
    return f"{CLUSTER}-moment-{short(run)}"


@contextmanager
def standing_still(a_desk: ADesk, outside: Outside, run: Run, scratch: str = "") -> Iterator[str]:
    """The pod of the restored database, while the proof's worker is paused: before it could see that the restore is ready."""
    scratch = scratch or scratch_of(run)

    def begun() -> bool:
        assert not a_desk.refresh(run).ended, f"the proof ended as {run.status}: {run.failure}"
        return f"Pod/{scratch}-1" in outside.everything_named(scratch)

    until(begun, 150, f"pod {scratch}-1")
    a_desk.pause(run)
    try:
        assert not any("is ready" in line for line in a_desk.refresh(run).lines), "the worker was ahead of the test"
        until(lambda: outside.get("clusters", scratch)["status"].get("phase") == "Cluster in healthy state", 90, f"{scratch} to be healthy")
        yield f"{scratch}-1"
    finally:
        a_desk.resume(run)


def proof_seen(a_desk: ADesk, outside: Outside, backup: str) -> Seen:
    """A proof of the Backup, looked at from outside on the way."""
    run = a_desk.proof(backup=backup)
    with standing_still(a_desk, outside, run) as pod:
        body = outside.get("clusters", scratch_of(run))
        counts, untouched = outside.table_counts(pod), outside.psql(pod, DIGEST_OF_UNTOUCHED)
        newest = int(outside.value(pod, "select max(number) from gsv_writer.commits"))
    return Seen(a_desk.follow(run, PROOF_SECONDS), body, counts, untouched, newest)
