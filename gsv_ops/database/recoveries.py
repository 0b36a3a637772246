"""How long earlier recoveries took, part by part, and what the next one may take after them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from gsv_ops.database import names
from gsv_ops.operations.operation import Desk
from gsv_ops.platform.spec import Database

FOLDER = "recoveries"
MOST_READ = 20
NO_ESTIMATE = "no estimate yet: no earlier recovery of a base backup that is still in the store was measured here"


@dataclass(frozen=True)
class Estimate:
    """Seconds that a recovery may take, from how many earlier ones, and how it comes about in words."""

    seconds: float
    measured: int
    words: str


def keep(desk: Desk, database: Database, backup_id: str, wal_bytes: int, seconds: Mapping[str, float]) -> None:
    """Write down how long one recovery took; `wal_bytes`: from the base backup's beginning to where it ended."""
    body = {"backup_id": backup_id, "wal_bytes": wal_bytes, "seconds": dict(seconds), "at": desk.now().isoformat()}
    desk.records.write(f"{_folder(database)}/{desk.now():%Y%m%dT%H%M%S}-{desk.run_id[:8]}", body)


def read(desk: Desk, database: Database) -> tuple[Mapping[str, Any], ...]:
    """The newest of them."""
    newest = desk.records.names(_folder(database))[-MOST_READ:]
    return tuple(body for name in newest if (body := desk.records.read(name)))


def estimate(earlier: Sequence[Mapping[str, Any]], base_bytes: Mapping[str, int], backup_id: str, wal_bytes: int) -> Estimate | None:
    """What restoring that base backup and so much WAL may take: medians per byte, and for what no byte costs. None where none was measured.

    `base_bytes`: of each base backup in the store.
    """
    whole = [e for e in earlier if base_bytes.get(e["backup_id"]) and e["wal_bytes"] > 0 and {"fetch", "replay"} <= e["seconds"].keys()]
    if not whole or not base_bytes.get(backup_id):
        return None
    fetch = median(e["seconds"]["fetch"] / base_bytes[e["backup_id"]] for e in whole) * base_bytes[backup_id]
    replay = median(e["seconds"]["replay"] / e["wal_bytes"] for e in whole) * wal_bytes
    rest = median(max(0.0, e["seconds"]["recovery"] - e["seconds"]["fetch"] - e["seconds"]["replay"]) for e in whole)
    words = f"fetch {fetch:.0f} s, replay {replay:.0f} s, everything else {rest:.0f} s; after {len(whole)} earlier recoveries"
    return Estimate(round(fetch + replay + rest, 1), len(whole), words)


def _folder(database: Database) -> str:
    return f"{FOLDER}/{names.folder(database)}"
