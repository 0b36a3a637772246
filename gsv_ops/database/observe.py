"""Reads what the database's good conditions are judged by. What cannot be read comes back as Unseen with the reason, not as an error."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from gsv_ops.database import conditions, failovers, goings_on, heartbeat, proofs, replication, source
from gsv_ops.database.backup.execute import endpoint_of, store_of
from gsv_ops.database.barman_store import BaseBackup
from gsv_ops.database.conditions import Archive, ScratchCluster, Unseen, finished
from gsv_ops.database.failovers import Failover
from gsv_ops.database.goings_on import Around, Trouble
from gsv_ops.database.heartbeat import Heartbeats
from gsv_ops.database.proof.sweep import OURS, expiry
from gsv_ops.database.proofs import Compared, Proof
from gsv_ops.database.session import Connection, DatabaseError, connect
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.kube.resources import POSTGRES_BACKUP, POSTGRES_CLUSTER, SCHEDULED_BACKUP
from gsv_ops.operations import apply
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.platform.spec import Database

T = TypeVar("T")
QUICK_SECONDS = 3.0


def base_backups(desk: Desk, database: Database) -> Sequence[BaseBackup] | Unseen:
    """Every base backup in the store."""
    return seen(lambda: store_of(desk, database, _cluster(desk, database)).base_backups())


def newest_proof(desk: Desk, database: Database) -> Proof | Unseen | None:
    """The newest proof of any of its backups."""
    return seen(lambda: proofs.newest(desk.records, database, desk.cluster_identity))


def compared(desk: Desk, database: Database) -> Compared | Unseen | None:
    """What the newest proof that reached a verdict found."""
    return seen(lambda: proofs.compared(desk.records, database, desk.cluster_identity))


def newest_backup(desk: Desk, database: Database) -> datetime | Unseen | None:
    """When the newest finished base backup ended."""
    bases = base_backups(desk, database)
    if isinstance(bases, Unseen):
        return bases
    done = finished(bases)
    return done[-1].ended if done else None


def around(desk: Desk, database: Database) -> Around | Unseen:
    """The Cluster, and its Backups and ScheduledBackups."""

    def look() -> Around:
        def mine(resource: Resource) -> tuple[Object, ...]:
            found = desk.kube.list(resource, database.namespace)
            return tuple(body for body in found if at(body, "spec", "cluster", "name") == database.cluster)

        return Around(_cluster(desk, database), mine(POSTGRES_BACKUP), mine(SCHEDULED_BACKUP))

    return seen(look)


def failover(desk: Desk, database: Database) -> Failover | Unseen | None:
    """The newest change of the primary that was not the desk's."""
    return seen(lambda: failovers.newest(desk.records, database, desk.cluster_identity))


def of_servers(desk: Desk, database: Database, cluster: Object) -> list[Trouble] | Unseen:
    """What is not as it should be by the primary's own word, quickly; the store is not asked."""

    def ask() -> list[Trouble]:
        most = QUICK_SECONDS
        with (
            endpoint_of(desk, database, cluster) as endpoint,
            connect(endpoint, connect_timeout=most, statement_timeout=most, lock_timeout=most) as session,
        ):
            word, status = replication.primary(session), archiver_status(session)
        check = conditions.wal_is_archived(Archive(status, last_is_in_store=True), database.watch)
        stale = [] if check.passed else [Trouble(f"{goings_on.OF_SERVER}the archive is stale", check.description)]
        replicas = [name for name in source.instances(cluster) if name != source.primary(cluster)]
        return stale + goings_on.lagging(word, replicas, database.promotion.behind_bytes)

    return seen(ask)


def archive(desk: Desk, database: Database) -> Archive | Unseen:
    """The archiver on the primary, and the store's word on what it last archived."""

    def look() -> Archive:
        cluster = _settled(desk, database)
        with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
            return _archive(desk, database, cluster, session)

    return seen(look)


def heartbeats(desk: Desk, database: Database) -> Heartbeats | Unseen:
    """The heartbeat's rows, and how far they are in the store."""

    def look() -> Heartbeats:
        heartbeat.of(database)
        cluster = _settled(desk, database)
        with heartbeat.endpoint(desk, database, cluster) as endpoint, connect(endpoint) as session:
            return heartbeat.read(session, _archive(desk, database, cluster, session))

    return seen(look)


def scratch_clusters(desk: Desk, database: Database) -> Sequence[ScratchCluster] | Unseen:
    """Every scratch cluster beside the database, and why it should be gone."""

    def look() -> list[ScratchCluster]:
        found = []
        for body in desk.kube.list(POSTGRES_CLUSTER, database.namespace, labels=OURS):
            expires = expiry(body)
            run = objects.labels(body).get(apply.ROOT_RUN_LABEL, "")
            why = ""
            if desk.is_over(run):
                why = f"run {run[:8]} that made it is over"
            elif expires is not None and expires <= desk.now():
                why = f"it expired at {expires:%Y-%m-%d %H:%M} UTC"
            elif expires is None:
                why = "it has no readable expiry"
            found.append(ScratchCluster(objects.name(body), why))
        return found

    return seen(look)


def _archive(desk: Desk, database: Database, cluster: Object, session: Connection) -> Archive:
    status = archiver_status(session)
    last = status.last_archived_wal
    return Archive(status, last is not None and store_of(desk, database, cluster).holds(last))


def _settled(desk: Desk, database: Database) -> Object:
    """The Cluster, whose primary stays for the moment."""
    cluster = _cluster(desk, database)
    if reason := "; ".join(source.why_not_restorable_beside(cluster)):
        raise OperationFailed(reason)
    return cluster


def _cluster(desk: Desk, database: Database) -> Object:
    return desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)


def seen(look: Callable[[], T]) -> T | Unseen:
    """What `look` finds, or why it could not be seen."""
    try:
        return look()
    except (KubeError, OperationFailed, DatabaseError, ValueError) as problem:
        return Unseen(str(problem))
    except Exception as problem:  # noqa: BLE001  one thing that is not as expected must not keep the others from being judged
        return Unseen(f"unexpected {type(problem).__name__}: {problem}")
