"""What proving one backup would be: which backup, restored to which position, into what, and why it must not be tried now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import Field, field_validator

from gsv_ops.database import manifest, names, room, source
from gsv_ops.database.backup.execute import COMPLETED, NEEDED
from gsv_ops.database.backup.plan import database_of, known_database
from gsv_ops.database.barman_store import configuration_of
from gsv_ops.database.fingerprinting import kept as kept_fingerprint
from gsv_ops.database.fingerprinting import record_name
from gsv_ops.database.proof import scratch
from gsv_ops.database.seen import seen
from gsv_ops.kube import objects, resources
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk, Params, PlanFrame
from gsv_ops.operations.plan import RUN_NAME, Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import Database, PlatformSpec


class ProveBackup(Params):
    """What an operator may choose of a proof."""

    database: str = Field(default="cmp_postgres", description="Which database of platform.yaml to prove a backup of.")
    backup: str = Field(default="", description="The Backup object to prove, by name. Empty: the newest completed one.")

    fingerprint_now: bool = Field(
        default=False,
        description="If the Backup has no fingerprint of its own, take one of the source now and replay the restore to now.",
    )

    @field_validator("database")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_database(value)


@dataclass(frozen=True)
class ProofSnapshot:
    """What was seen. `records` has every completed Backup's fingerprint record by the Backup's uid, where there is one."""

    cluster: Object
    object_store: Object | None
    backups: tuple[Object, ...]
    records: Mapping[str, Mapping[str, Any]]
    claims: tuple[Object, ...]
    quotas: tuple[Object, ...]
    api_servers: tuple[tuple[str, int], ...]


def observe(desk: Desk, params: ProveBackup) -> ProofSnapshot:
    """Read the source, its backups and what a scratch cluster needs. Raises NotFound and Forbidden."""
    database = database_of(desk.spec, params.model_dump())
    kube, namespace = desk.kube, database.namespace
    cluster, store, backups = seen(kube, database)
    if params.backup:
        wanted = kube.get(resources.POSTGRES_BACKUP, params.backup, namespace)  # NotFound names the near matches
        if at(wanted, "spec", "cluster", "name") != database.cluster:
            raise NotFound(
                f"Backup {params.backup} is of Cluster {at(wanted, 'spec', 'cluster', 'name')}, expected one of {database.cluster}"
            )
    records = {objects.uid(b): desk.records.read(record_name(database, b)) for b in backups}
    return ProofSnapshot(
        cluster,
        store,
        tuple(backups),
        {uid: record for uid, record in records.items() if record is not None},
        tuple(kube.list(resources.PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{source.CLUSTER_LABEL}={database.cluster}")),
        tuple(kube.list(resources.RESOURCE_QUOTA, namespace)),
        scratch.api_servers(desk),
    )


def plan(spec: PlatformSpec, snapshot: ProofSnapshot, params: ProveBackup, frame: PlanFrame, now: datetime) -> Plan:
    """A scratch cluster behind a NetworkPolicy, both taken down again; the source is only read."""
    database = database_of(spec, params.model_dump())
    cluster = snapshot.cluster
    here = _target(cluster)
    refused = [Refused(here, reason) for reason in source.why_not_restorable_beside(cluster)]
    archive = source.archive(cluster)
    if not archive.usable:
        refused.append(Refused(here, f"its backups are made by {archive.method}; no WAL position of one can be proven here"))
    chosen, kept = choose(snapshot.backups, params.backup)
    if chosen is None:
        asked = f"Backup {params.backup} is not completed" if params.backup else "there is no completed Backup"
        refused.append(Refused(here, f"{asked}; run {names.named('backup_database', params.database)} first"))
        return frame.plan(refused=tuple(refused), kept=kept, facts=_facts(cluster), seen=len(snapshot.backups))
    record = snapshot.records.get(objects.uid(chosen))
    taken = kept_fingerprint(record)
    if taken is None and not params.fingerprint_now:
        why = (record or {}).get("problem") or "it was not taken by backup_database of this desk"
        hint = "set fingerprint_now to take one of the source as it is now"
        refused.append(Refused(_target(chosen), f"inconclusive: there is no fingerprint to compare a restore with ({why}); {hint}"))
    sizes = manifest.real_sizes(cluster, snapshot.claims)
    refused += [Refused(here, reason) for reason in why_no_room(cluster, taken, sizes, snapshot.quotas, database)]
    if refused:
        return frame.plan(refused=tuple(refused), kept=kept, facts=_facts(cluster), seen=len(snapshot.backups))
    name = f"{database.cluster}-proof-{RUN_NAME}"
    backup_id = chosen["status"]["backupId"]
    # without a fingerprint the position is only known when the proof runs: it is taken then, and put into this manifest
    target = manifest.exactly_before(backup_id, taken["lsn"], int(taken["timeline"])) if taken else {"backupID": backup_id}
    body = manifest.drill(name, cluster, archive, target, sizes)
    store_url = configuration_of(cluster, snapshot.object_store).get("endpointURL")
    policy = scratch.network_policy(name, database.operator_namespace, snapshot.api_servers, store_url)
    return frame.plan(
        actions=(
            Action(
                "create",
                _named(policy, database),
                "only the operator may reach the scratch cluster, and nothing restored can call out",
                body=policy,
            ),
            Action("create", _named(body, database), scratch.describe(body), body=body),
        ),
        kept=kept,
        facts={
            **_facts(cluster),
            **manifest.filled_in(cluster),
            "backup": objects.name(chosen),
            "backup uid": objects.uid(chosen),
            "backup id": chosen["status"]["backupId"],
            "begin WAL": chosen["status"]["beginWal"],
            "begin LSN": chosen["status"]["beginLSN"],
            "fingerprint": record_name(database, chosen),
            "target LSN": taken["lsn"] if taken else scratch.NOW,
            "target timeline": int(taken["timeline"]) if taken else scratch.NOW,
        },
        seen=len(snapshot.backups),
    )


def choose(backups: tuple[Object, ...], name: str) -> tuple[Object | None, tuple[Kept, ...]]:
    """The Backup to prove: the named one, else the newest completed one; and every other with the reason why not it."""
    done = [b for b in backups if at(b, "status", "phase") == COMPLETED and all(at(b, "status", key) for key in NEEDED)]
    named = [b for b in done if objects.name(b) == name] if name else done
    chosen = max(named, key=lambda b: parse_time(b["status"]["stoppedAt"]), default=None)
    kept = []
    for backup in backups:
        if backup is not chosen:
            phase = at(backup, "status", "phase", default="no phase yet")
            if backup in done:
                reason = "another was named" if name else "a newer one is completed"
            elif phase == COMPLETED:
                reason = "its status does not say which WAL it covers"
            else:
                reason = f"it is {phase}, not completed"
            kept.append(Kept(_target(backup), f"not proven in this run: {reason}"))
    return chosen, tuple(kept)


def why_no_room(
    cluster: Object, taken: Mapping[str, Any] | None, sizes: Mapping[str, str], quotas: tuple[Object, ...], database: Database
) -> list[str]:
    """Every reason why the scratch volumes would not fit: the database with its margin, and the namespace's quota."""
    wanted = room.volumes(cluster, sizes)
    if not wanted:
        return [room.UNKNOWN_SIZE]
    needed = sum(int(table["bytes"]) for table in taken["tables"].values()) if taken else 0
    margin = database.proof.storage_margin_percent
    return room.why_none(wanted, needed, margin, quotas, "the scratch volume", "grow the source's storage")


def _facts(cluster: Object) -> dict[str, Any]:
    return {key: value for key, value in source.facts(cluster).items() if key != "primary"}


def _named(body: Mapping[str, Any], database: Database) -> Target:
    return Target(body["apiVersion"], body["kind"], body["metadata"]["name"], database.namespace)


def _target(body: Object) -> Target:
    return Target(body["apiVersion"], body["kind"], objects.name(body), objects.namespace(body) or "", objects.uid(body))
