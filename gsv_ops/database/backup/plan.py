"""What a backup of one database would be: by which method, into which store, and why it must not be taken now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from gsv_ops.database import source
from gsv_ops.kube import errors, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NAMESPACE, OBJECT_STORE, POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, Params, PlanFrame
from gsv_ops.operations.plan import RUN_NAME, Action, Kept, Plan, Refused, Target
from gsv_ops.platform import environments
from gsv_ops.platform.spec import Database, PlatformSpec

TERMINAL = ("completed", "failed")


class BackupDatabase(Params):
    """What an operator may choose of a backup."""

    database: str = Field(
        default="cmp_postgres",
        description="Which database of platform.yaml to back up.",
    )

    @field_validator("database")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_database(value)


@dataclass(frozen=True)
class BackupSnapshot:
    """What was seen: the Cluster, its ObjectStore (None where it needs none), and its Backups."""

    cluster: Object
    object_store: Object | None
    object_store_problem: str
    backups: tuple[Object, ...]


def known_database(name: str) -> str:
    """The name, if platform.yaml has such a database. Raises ValueError that lists those it has."""
    names = sorted(environments.binding().spec.databases)
    if name not in names:
        raise ValueError(f"no database {name!r} in platform.yaml; it has {', '.join(names)}")
    return name


def database_of(spec: PlatformSpec, params: Mapping[str, Any]) -> Database:
    """The database that a plan's parameters name."""
    return spec.databases[params["database"]]


def observe(desk: Desk, params: BackupDatabase) -> BackupSnapshot:
    """Read the Cluster and what belongs to its backups. Raises NotFound and Forbidden."""
    database = database_of(desk.spec, params.model_dump())
    desk.kube.get(NAMESPACE, database.namespace)  # a namespace that does not exist lists as empty
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    store, problem = None, ""
    archive = source.archive(cluster)
    if archive.object_store:
        try:
            store = desk.kube.get(OBJECT_STORE, archive.object_store, database.namespace)
        except errors.NotFound as missing:
            problem = str(missing)
    backups = [b for b in desk.kube.list(POSTGRES_BACKUP, database.namespace) if at(b, "spec", "cluster", "name") == database.cluster]
    return BackupSnapshot(cluster, store, problem, tuple(backups))


def plan(spec: PlatformSpec, snapshot: BackupSnapshot, params: BackupDatabase, frame: PlanFrame, now: datetime) -> Plan:
    """One Backup, by the method the live Cluster is set up for. Nothing is deleted."""
    database = database_of(spec, params.model_dump())
    cluster = snapshot.cluster
    archive = source.archive(cluster)
    here = _target(cluster)
    refused = [Refused(here, reason) for reason in source.why_not_backed_up(cluster)]
    if snapshot.object_store_problem:
        refused.append(Refused(here, f"its ObjectStore cannot be read: {snapshot.object_store_problem}"))
    backup = Target(POSTGRES_BACKUP.api_version, POSTGRES_BACKUP.kind, f"{database.cluster}-{RUN_NAME}", database.namespace)
    action = Action(
        "create",
        backup,
        f"a base backup by {_words(archive)}, then a fingerprint of every row of {database.database} at one WAL position after it",
        body=manifest(database.cluster, archive),
    )
    kept = [
        Kept(
            Target(b["apiVersion"], b["kind"], objects.name(b), database.namespace, objects.uid(b)),
            f"{phase}: this operation deletes nothing",
        )
        for b in snapshot.backups
        if (phase := str(at(b, "status", "phase", default="no phase yet")))
    ]
    return frame.plan(
        actions=() if refused else (action,),
        kept=tuple(kept),
        refused=tuple(refused),
        facts=source.facts(cluster),
        seen=1 + len(snapshot.backups),
    )


def manifest(cluster: str, archive: source.Archive) -> dict[str, Any]:
    """The Backup object, without its name."""
    spec: dict[str, Any] = {"cluster": {"name": cluster}, "method": archive.method}
    if archive.method == "plugin":
        spec["pluginConfiguration"] = {"name": source.BARMAN_PLUGIN}
    return {"apiVersion": POSTGRES_BACKUP.api_version, "kind": POSTGRES_BACKUP.kind, "metadata": {}, "spec": spec}


def _target(cluster: Object) -> Target:
    return Target(
        POSTGRES_CLUSTER.api_version, POSTGRES_CLUSTER.kind, objects.name(cluster), objects.namespace(cluster) or "", objects.uid(cluster)
    )


def _words(archive: source.Archive) -> str:
    if archive.method == "plugin":
        return f"the Barman Cloud plugin into ObjectStore {archive.object_store} as server {archive.server_name}"
    return f"the in-tree barmanObjectStore as server {archive.server_name} (removed in CloudNativePG 1.31: move to the plugin)"
