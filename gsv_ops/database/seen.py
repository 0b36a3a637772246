"""What a proof reads of its source, whatever moment it restores to."""

from __future__ import annotations

from gsv_ops.database import source
from gsv_ops.kube import resources
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.platform.spec import Database


def seen(kube: Kube, database: Database) -> tuple[Object, Object | None, list[Object]]:
    """The Cluster, its ObjectStore (None where it names none) and its Backups. Raises NotFound with near matches, and Forbidden."""
    namespace = database.namespace
    kube.get(resources.NAMESPACE, namespace)
    cluster = kube.get(resources.POSTGRES_CLUSTER, database.cluster, namespace)
    named = source.archive(cluster).object_store
    store = kube.get(resources.OBJECT_STORE, named, namespace) if named else None
    backups = [b for b in kube.list(resources.POSTGRES_BACKUP, namespace) if at(b, "spec", "cluster", "name") == database.cluster]
    return cluster, store, backups
