"""Where a recovery ended, by the history of the timeline that it began; and on which timelines a server has been."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gsv_ops.database.lsn import parse_lsn
from gsv_ops.kube.protocol import Kube

CONTAINER = "postgres"
ASK_SECONDS = 30.0
# The timeline is an argument, never part of the script.
SCRIPT = 'cat "$PGDATA/pg_wal/$1.history"'
_LINE = re.compile(r"^(?P<timeline>\d+)\s+(?P<lsn>[0-9A-F]+/[0-9A-F]+)\s*(?P<why>.*)$")


@dataclass(frozen=True)
class Left:
    """A timeline that was left: where, and why there, in PostgreSQL's words."""

    timeline: int
    lsn: int
    why: str


def history(kube: Kube, namespace: str, pod: str, timeline: int) -> tuple[Left, ...]:
    """The timelines before that one, oldest first; empty where the pod has no history of it. Raises KubeError."""
    said = kube.exec(namespace, pod, CONTAINER, ["sh", "-c", SCRIPT, "sh", f"{timeline:08X}"], timeout=ASK_SECONDS)
    found = (_LINE.match(line.strip()) for line in said.stdout.splitlines())
    return tuple(Left(int(match["timeline"]), parse_lsn(match["lsn"]), match["why"]) for match in found if match)
