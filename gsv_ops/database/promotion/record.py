"""The record of the desk's own promotions, by which a change of the primary that somebody else made is told from one of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from gsv_ops.database import names, source
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.records import Records
from gsv_ops.platform.spec import Database

FOLDER = "promotions"


@dataclass(frozen=True)
class Promotion:
    """One promotion, written down before it was asked for: from which instance to which, when, and by which root run.

    asked_at: the very moment that the patch writes as the Cluster's targetPrimaryTimestamp, by which it is known again.
    """

    former: str
    instance: str
    asked_at: datetime
    run_id: str

    def led_to(self, cluster: Object) -> bool:
        """Whether it is what made the Cluster's primary what it is: its target was set by it, and by nobody since.

        One that was written down and never asked for, since the patch was refused, led to nothing.
        """
        return self.instance == source.primary(cluster) and self.asked_at == source.targeted_at(cluster)


def write(records: Records, database: Database, cluster_identity: str, promotion: Promotion) -> None:
    """Keep it as the newest of that database on that Kubernetes cluster."""
    records.write(_name(database, cluster_identity), {**vars(promotion), "asked_at": promotion.asked_at.isoformat()})


def newest(records: Records, database: Database, cluster_identity: str) -> Promotion | None:
    """The newest one; None if there is none."""
    body = records.read(_name(database, cluster_identity))
    return None if body is None else Promotion(**{**body, "asked_at": datetime.fromisoformat(body["asked_at"])})


def _name(database: Database, cluster_identity: str) -> str:
    return f"{FOLDER}/{names.folder(database)}-{cluster_identity}-newest"
