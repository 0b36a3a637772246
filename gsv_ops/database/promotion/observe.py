"""Reads what a promotion is decided by: the Cluster and what goes on around it, what its primary says, and what each standby says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gsv_ops.database import observe as room
from gsv_ops.database import replication, source
from gsv_ops.database.backup.execute import endpoint_of
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.conditions import Archive, Unseen
from gsv_ops.database.promotion.params import PromoteReplica
from gsv_ops.database.replication import Primary, Replay
from gsv_ops.database.servers import observe as servers
from gsv_ops.database.session import connect
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import JOB, NAMESPACE, POD, POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk
from gsv_ops.platform.spec import Database

INSTANCE = "cnpg.io/podRole=instance"


@dataclass(frozen=True)
class Seen:
    """The Cluster, its instances' pods, its Backups, its Jobs, the Clusters that recover from its archive, and what the servers say.

    Whoever could not be asked is Unseen, with the reason.
    """

    cluster: Object
    pods: Mapping[str, Object]
    backups: tuple[Object, ...]
    jobs: tuple[Object, ...]
    recovering: tuple[Object, ...]
    primary: Primary | Unseen
    archive: Archive | Unseen
    replays: Mapping[str, Replay | Unseen]


def observe(desk: Desk, params: PromoteReplica) -> Seen:
    """Everything, now. Raises NotFound and Forbidden for the Cluster and what is listed; a server that cannot be asked is Unseen."""
    database = database_of(desk.spec, params.model_dump())
    desk.kube.get(NAMESPACE, database.namespace)
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    mine = f"{source.CLUSTER_LABEL}={database.cluster}"
    pods = desk.kube.list(POD, database.namespace, labels=f"{mine},{INSTANCE}")
    backups = desk.kube.list(POSTGRES_BACKUP, database.namespace)
    said = room.seen(lambda: said_by_servers(desk, database, cluster))
    primary, replays = (said, {}) if isinstance(said, Unseen) else said
    return Seen(
        cluster,
        {objects.name(pod): pod for pod in pods},
        tuple(b for b in backups if at(b, "spec", "cluster", "name") == database.cluster),
        tuple(desk.kube.list(JOB, database.namespace, labels=mine)),
        tuple(c for c in desk.kube.list(POSTGRES_CLUSTER, database.namespace) if recovers_from(c, cluster)),
        primary,
        room.archive(desk, database),
        replays,
    )


def said_by_servers(desk: Desk, database: Database, cluster: Object) -> tuple[Primary, Mapping[str, Replay | Unseen]]:
    """What the primary says of itself and its standbys, and each of those. Raises OperationFailed, KubeError, DatabaseError."""
    with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
        word = replication.primary(session)
        return word, servers.replays_of(desk, database, cluster, session, float(database.promotion.behind_seconds))


def recovers_from(other: Object, cluster: Object) -> bool:
    """Whether that Cluster is being made from this one's archive, and is not done."""
    if objects.uid(other) == objects.uid(cluster) or source.phase(other) == source.HEALTHY_PHASE:
        return False
    origin = at(other, "spec", "bootstrap", "recovery", "source")
    server = source.archive(cluster).server_name
    for external in at(other, "spec", "externalClusters", default=[]):
        if external.get("name") == origin and origin is not None:
            named = at(external, "plugin", "parameters", "serverName") or at(external, "barmanObjectStore", "serverName")
            return bool((named or origin) == server)
    return bool(at(other, "spec", "bootstrap", "recovery", "backup"))
