"""Reads what a restore depends on: the source or what is remembered of it, the archive, the goal, and whether there is room for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from gsv_ops.database import fingerprinting, proofs, recoverability, recoveries, remembered, source
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.goal import Goal
from gsv_ops.database.lsn import parse_lsn
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.database.window import Window
from gsv_ops.kube import objects
from gsv_ops.kube.errors import Forbidden, Invalid, NotFound
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import (
    NAMESPACE,
    OBJECT_STORE,
    PERSISTENT_VOLUME_CLAIM,
    POSTGRES_BACKUP,
    POSTGRES_CLUSTER,
    RESOURCE_QUOTA,
    SECRET,
    STORAGE_CLASS,
)
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import named
from gsv_ops.platform.spec import Database

NEWEST = "newest"
# Where a manifest names a Secret: CloudNativePG 1.30 and the Barman Cloud plugin 0.14.
SECRET_FIELDS = frozenset(
    ("secret", "superuserSecret", "passwordSecret", "imagePullSecrets", "secretKeyRef", "accessKeyId", "secretAccessKey", "sessionToken")
) | {"endpointCA", "password", "sslKey", "sslCert", "sslRootCert"}


@dataclass(frozen=True)
class RestoreSnapshot:
    """What was seen. `remembered` is when the source was remembered, where it is gone; `problems` are refusals found while looking.

    taken: what stands under the new name. storage_classes: each with whether it is the default. admission: what a dry run said.
    """

    cluster: Object
    remembered: str
    object_store: Object | None
    backups: tuple[Object, ...]
    window: Window
    goal: Goal
    problems: tuple[str, ...]
    taken: tuple[str, ...]
    claims: tuple[Object, ...]
    quotas: tuple[Object, ...]
    storage_classes: Mapping[str, bool]
    earlier: tuple[Mapping[str, Any], ...]
    missing_secrets: tuple[str, ...] = ()
    admission: str = ""


def observe(desk: Desk, params: RestoreDatabase) -> RestoreSnapshot:
    """Everything but what the manifest itself decides: see `admitted`. Raises NotFound, Forbidden, StoreUnreadable."""
    database = database_of(desk.spec, params.model_dump())
    kube, namespace = desk.kube, database.namespace
    kube.get(NAMESPACE, namespace)
    cluster, kept = _source(desk, database)
    archive = source.archive(cluster)
    store = kube.get(OBJECT_STORE, archive.object_store, namespace) if archive.object_store else None
    backups = tuple(b for b in kube.list(POSTGRES_BACKUP, namespace) if at(b, "spec", "cluster", "name") == database.cluster)
    goal, problems = _goal(desk, database, params, backups)
    window = Window((), 1)
    if archive.usable:
        window = recoverability.look(desk, database, cluster, store, backups, goal.timeline)
    else:
        problems = [
            *problems,
            f"its backups are made by {archive.method}: expected the Barman Cloud plugin, or spec.backup.barmanObjectStore",
        ]
    name = params.cluster_name(database.cluster)
    return RestoreSnapshot(
        cluster,
        kept,
        store,
        backups,
        window,
        goal,
        tuple(problems),
        _taken(desk, namespace, name),
        tuple(kube.list(PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{source.CLUSTER_LABEL}={database.cluster}")),
        tuple(kube.list(RESOURCE_QUOTA, namespace)),
        {objects.name(c): _is_default(c) for c in kube.list(STORAGE_CLASS)},
        recoveries.read(desk, database),
    )


def admitted(desk: Desk, snapshot: RestoreSnapshot, body: Object, namespace: str) -> RestoreSnapshot:
    """The snapshot with what only the manifest tells: Secrets that it names and are not there, and what the API server says of it."""
    missing = []
    for name in sorted({*secrets_named(body), *secrets_named(at(snapshot.object_store, "spec", default={}))}):
        try:
            desk.kube.get(SECRET, name, namespace)
        except NotFound:
            missing.append(name)
    refused = ""
    if not snapshot.taken:
        metadata = {**body["metadata"], "name": named(body["metadata"]["name"], desk.run_id), "namespace": namespace}
        try:
            desk.kube.create({**body, "metadata": metadata}, dry_run=True)
        except (Forbidden, Invalid) as problem:
            refused = str(problem)
    return replace(snapshot, missing_secrets=tuple(missing), admission=refused)


def secrets_named(value: Any) -> Iterator[str]:
    """The names of the Secrets that a manifest refers to."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if key in SECRET_FIELDS:
                yield from (str(one["name"]) for one in (item if isinstance(item, list) else [item]) if at(one, "name"))
            else:
                yield from secrets_named(item)
    elif isinstance(value, list):
        for item in value:
            yield from secrets_named(item)


def _source(desk: Desk, database: Database) -> tuple[Object, str]:
    try:
        return desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace), ""
    except NotFound as problem:
        kept = remembered.recall(desk, database)
        if kept is None:
            raise OperationFailed(
                f"{problem} Nothing is remembered of it either: each backup_database writes down the manifest that a restore is made from. "
                f"Put the record of another desk of this environment to {remembered.where(desk, database)}, or write it: a JSON object "
                f"with `at`, a time, and `cluster`, the Cluster's manifest from Git; and plan again.",
                f"kubectl get clusters.postgresql.cnpg.io -n {database.namespace}",
            ) from None
        return kept


def _goal(desk: Desk, database: Database, params: RestoreDatabase, backups: tuple[Object, ...]) -> tuple[Goal, list[str]]:
    if not params.proof:
        by_name = {objects.name(b): str(at(b, "status", "backupId", default="")) for b in backups}
        return params.goal(by_name.get(params.backup) or params.backup), []
    proven = proofs.every(desk.records, database)
    if params.proof == NEWEST:
        found = max(proven, key=lambda proof: proof.proven_at, default=None)
    else:
        found = next((proof for proof in proven if params.proof in (proof.backup, proof.run_id, proof.backup_id)), None)
    if found is None:
        there = ", ".join(sorted(proof.backup for proof in proven)) or "none: run prove_backup first"
        return Goal("end_of_wal"), [f"no proof {params.proof!r} is known here; proven Backups: {there}"]
    record = desk.records.read(fingerprinting.record_of(database, found.backup_uid))
    taken = fingerprinting.kept(record)
    if taken is None:
        return Goal("end_of_wal"), [f"the fingerprint that the proof of Backup {found.backup} compared with is not kept any more"]
    return Goal("proof", lsn=parse_lsn(taken["lsn"]), timeline=int(taken["timeline"]), backup_id=found.backup_id), []


def _taken(desk: Desk, namespace: str, name: str) -> tuple[str, ...]:
    found = []
    for body in desk.kube.list(POSTGRES_CLUSTER, namespace, fields=f"metadata.name={name}", metadata_only=True):
        found.append(f"Cluster {namespace}/{objects.name(body)} exists")
    for claim in desk.kube.list(PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{source.CLUSTER_LABEL}={name}", metadata_only=True):
        found.append(f"PersistentVolumeClaim {namespace}/{objects.name(claim)} of a Cluster of that name exists")
    return tuple(found)


def _is_default(storage_class: Object) -> bool:
    return objects.annotations(storage_class).get("storageclass.kubernetes.io/is-default-class") == "true"
