"""The source's manifest as it was when it was last backed up: what a restore is made from when the Cluster itself is gone.

A Cluster's manifest names Secrets and holds none of their values; literal values of its environment are left out. Kept per environment,
so that it outlives the Kubernetes cluster too.
"""

from __future__ import annotations

from gsv_ops.database import manifest, names
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk
from gsv_ops.platform.spec import Database

FOLDER = "sources"


def keep(desk: Desk, database: Database, cluster: Object) -> None:
    """Write down what a restore needs of the Cluster."""
    status = {"image": at(cluster, "status", "image", default="")}
    body = {
        "metadata": {"name": objects.name(cluster), "namespace": database.namespace},
        "spec": manifest.without_values(cluster["spec"]),
        "status": status,
    }
    desk.records.write(_name(desk, database), {"at": desk.now().isoformat(), "cluster": body})


def recall(desk: Desk, database: Database) -> tuple[Object, str] | None:
    """The Cluster as it was kept, without a uid, and when; None if it never was."""
    record = desk.records.read(_name(desk, database))
    return (record["cluster"], str(record["at"])) if record else None


def where(desk: Desk, database: Database) -> str:
    """Where it lies, or would."""
    return str(desk.records.path(_name(desk, database)))


def _name(desk: Desk, database: Database) -> str:
    return f"{FOLDER}/{desk.environment}-{names.folder(database)}"
