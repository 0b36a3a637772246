"""The record of what was proven: one per proven backup, and which of them is the newest; and what the newest comparison found.

Written by the proof's verify step under the evidence root, so that the age of the newest proof is known without asking Dagster.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gsv_ops.database import names
from gsv_ops.operations import keeping
from gsv_ops.operations.records import Records
from gsv_ops.platform.spec import Database

FOLDER = "proofs"


@dataclass(frozen=True)
class Proof:
    """One proof: the Backup (name and uid), when it was proven, and what of it was compared."""

    backup: str
    backup_uid: str
    backup_id: str
    proven_at: datetime
    rows: int
    tables: int
    run_id: str


def write(records: Records, database: Database, cluster_identity: str, proof: Proof) -> None:
    """Keep the proof, and as the newest on that Kubernetes cluster if it is."""
    body = {**vars(proof), "proven_at": proof.proven_at.isoformat()}
    records.write(f"{_folder(database)}/{proof.backup_uid}", body)
    known = newest(records, database, cluster_identity)
    if known is None or known.proven_at <= proof.proven_at:
        records.write(_newest(database, cluster_identity), body)
        claim = f"proof-{names.folder(database)}-{cluster_identity}"
        keeping.keep(records, claim, proof.run_id, f"it is the newest proof of {database.cluster}: Backup {proof.backup}")


@dataclass(frozen=True)
class Compared:
    """What the newest proof that reached a verdict found. `rows`, `tables`: those that are equal; `different`: the tables that are not."""

    outcome: Literal["proven", "failed"]
    reason: str
    backup: str
    at: datetime
    rows: int
    tables: int
    lsn: str
    different: tuple[str, ...]
    run_id: str


def write_compared(records: Records, database: Database, cluster_identity: str, found: Compared) -> None:
    """Keep it, if none on that Kubernetes cluster is newer."""
    known = compared(records, database, cluster_identity)
    if known is None or known.at <= found.at:
        records.write(
            _compared(database, cluster_identity), {**vars(found), "at": found.at.isoformat(), "different": list(found.different)}
        )


def compared(records: Records, database: Database, cluster_identity: str) -> Compared | None:
    """What the newest comparison of the database on that Kubernetes cluster found; None if there never was one."""
    body = records.read(_compared(database, cluster_identity))
    if body is None:
        return None
    return Compared(**{**body, "at": datetime.fromisoformat(body["at"]), "different": tuple(body["different"])})


def newest(records: Records, database: Database, cluster_identity: str) -> Proof | None:
    """The newest proof of any backup of the database on that Kubernetes cluster; None if there is none."""
    return _proof(records.read(_newest(database, cluster_identity)))


def of(records: Records, database: Database, backup_uid: str) -> Proof | None:
    """The proof of that Backup; None if it was never proven."""
    return _proof(records.read(f"{_folder(database)}/{backup_uid}"))


def every(records: Records, database: Database) -> list[Proof]:
    """Every proof of any of the database's backups."""
    found = (_proof(records.read(name)) for name in records.names(_folder(database)))
    return [proof for proof in found if proof is not None]


def _proof(body: Mapping[str, Any] | None) -> Proof | None:
    return None if body is None else Proof(**{**body, "proven_at": datetime.fromisoformat(body["proven_at"])})


def _newest(database: Database, cluster_identity: str) -> str:
    # Several environments may share one evidence root, and have databases of one name: a proof on one says nothing of another.
    return f"{_folder(database)}-{cluster_identity}-newest"


def _compared(database: Database, cluster_identity: str) -> str:
    return f"{_folder(database)}-{cluster_identity}-compared"


def _folder(database: Database) -> str:
    return f"{FOLDER}/{names.folder(database)}"
