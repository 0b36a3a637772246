"""The record of the newest change of the primary that no promotion of the desk's explains."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gsv_ops.database import names
from gsv_ops.operations.records import Records
from gsv_ops.platform.spec import Database

FOLDER = "failovers"


@dataclass(frozen=True)
class Failover:
    """From which instance to which, and when the desk noticed it."""

    former: str
    instance: str
    noticed_at: datetime


def write(records: Records, database: Database, cluster_identity: str, failover: Failover) -> None:
    """Keep it as the newest of that database on that Kubernetes cluster."""
    records.write(_name(database, cluster_identity), {**vars(failover), "noticed_at": failover.noticed_at.isoformat()})


def newest(records: Records, database: Database, cluster_identity: str) -> Failover | None:
    """The newest one; None if there is none."""
    body = records.read(_name(database, cluster_identity))
    return None if body is None else Failover(**{**body, "noticed_at": datetime.fromisoformat(body["noticed_at"])})


def _name(database: Database, cluster_identity: str) -> str:
    return f"{FOLDER}/{names.folder(database)}-{cluster_identity}-newest"
