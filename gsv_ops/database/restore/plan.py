"""What a restore would be: the goal, the base backup, the whole manifest; why not; and what an operator should read before."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gsv_ops.database import manifest, room, source
from gsv_ops.database.backup import plan as backup_plan
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.goal import Goal
from gsv_ops.database.restore import shown
from gsv_ops.database.restore.observe import RestoreSnapshot, admitted
from gsv_ops.database.restore.observe import observe as look
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.database.window import Judged, judge
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import bytes_of
from gsv_ops.kube.resources import POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, PlanFrame
from gsv_ops.operations.plan import RUN_NAME, Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import Database, PlatformSpec

LONGEST_NAME = 50
"""Characters: CloudNativePG's own limit on a Cluster's name."""


def observe(desk: Desk, params: RestoreDatabase) -> RestoreSnapshot:
    """Everything that the plan is made from, the API server's word on the manifest with it."""
    database = database_of(desk.spec, params.model_dump())
    snapshot = look(desk, params)
    judged = judge(snapshot.window, snapshot.goal, desk.now())
    if judged.base is None or snapshot.problems or not room.volumes(snapshot.cluster, _sizes(snapshot, params)):
        return snapshot
    return admitted(desk, snapshot, body_of(snapshot, judged, params, database), database.namespace)


def plan(spec: PlatformSpec, snapshot: RestoreSnapshot, params: RestoreDatabase, frame: PlanFrame, now: datetime) -> Plan:
    """A Cluster that begins with the restore, and its first backup. With any refusal, nothing."""
    database = database_of(spec, params.model_dump())
    name = params.cluster_name(database.cluster)
    new = Target(POSTGRES_CLUSTER.api_version, POSTGRES_CLUSTER.kind, name, database.namespace)
    judged = judge(snapshot.window, snapshot.goal, now)
    reasons = [*snapshot.problems, *judged.refused]
    reasons += [f"{taken}; expected the name to be free: choose another `name`" for taken in snapshot.taken]
    if len(name) > LONGEST_NAME:
        reasons.append(f"the name {name} has {len(name)} characters, expected at most {LONGEST_NAME}")
    if judged.base is not None:
        reasons += _why_no_room(snapshot, judged, params, database)
        reasons += [f"Secret {database.namespace}/{one} is not there, and the manifest names it" for one in snapshot.missing_secrets]
        if snapshot.admission:
            reasons.append(f"the API server refuses the manifest: {snapshot.admission}")
    facts = _facts(snapshot, judged)
    kept = tuple(_kept(backup, judged) for backup in snapshot.backups)
    told = shown.window(snapshot, judged, now)
    if judged.base is None or reasons:
        refused = tuple(Refused(new, reason) for reason in reasons)
        return frame.plan(refused=refused, kept=kept, facts=facts, seen=len(snapshot.backups), shown=told)
    body = body_of(snapshot, judged, params, database)
    return frame.plan(
        actions=(
            Action("create", new, _words(snapshot.goal, judged, params), body=body),
            Action(
                "create",
                Target(POSTGRES_BACKUP.api_version, POSTGRES_BACKUP.kind, f"{name}-{RUN_NAME}", database.namespace),
                "its first backup, in an archive of its own, once it serves",
                body=backup_plan.manifest(name, source.archive(body)),
            ),
        ),
        kept=kept,
        facts=facts | {"name": name, "server name of its own": source.archive(body).server_name},
        seen=len(snapshot.backups),
        shown=told | shown.manifest_and_difference(snapshot, body, database),
    )


def body_of(snapshot: RestoreSnapshot, judged: Judged, params: RestoreDatabase, database: Database) -> dict[str, Any]:
    """The new Cluster's manifest. Its archive's server name carries the run, so that it was never written to."""
    assert judged.base is not None
    name = params.cluster_name(database.cluster)
    return manifest.lasting(
        name,
        snapshot.cluster,
        source.archive(snapshot.cluster),
        snapshot.goal.recovery_target(judged.base.backup_id, snapshot.window.timeline),
        _sizes(snapshot, params),
        instances=params.instances,
        server_name=f"{name}-{RUN_NAME}",
    )


def _sizes(snapshot: RestoreSnapshot, params: RestoreDatabase) -> dict[str, str]:
    sizes = manifest.real_sizes(snapshot.cluster, snapshot.claims)
    return sizes | ({"storage": params.storage} if params.storage else {})


def _why_no_room(snapshot: RestoreSnapshot, judged: Judged, params: RestoreDatabase, database: Database) -> list[str]:
    assert judged.base is not None
    wanted = room.volumes(snapshot.cluster, _sizes(snapshot, params))
    if not wanted:
        return [room.UNKNOWN_SIZE]
    reasons = []
    needed = judged.base.data_bytes
    if not needed and params.storage and (known := at(snapshot.cluster, "spec", "storage", "size")) and wanted[0] < bytes_of(known):
        reasons.append(f"storage {params.storage} is less than the source's {known}, and how large the database is is not known")
    margin = database.proof.storage_margin_percent
    every = [wanted[0], *wanted[1:]] * params.instances
    reasons += room.why_none(every, needed, margin, snapshot.quotas, "the new volume", "ask for more `storage`")
    return [*reasons, *_why_no_class(snapshot)]


def _why_no_class(snapshot: RestoreSnapshot) -> list[str]:
    spec = snapshot.cluster["spec"]
    volumes = [spec.get("storage"), spec.get("walStorage"), *(at(space, "storage") for space in spec.get("tablespaces") or [])]
    asked = {at(volume, "storageClass") or at(volume, "pvcTemplate", "storageClassName", default="") for volume in volumes if volume}
    there = snapshot.storage_classes
    reasons = [f"StorageClass {name} is not there; expected one of {', '.join(sorted(there)) or 'none'}" for name in sorted(asked - {""})
               if name not in there]  # fmt: skip
    if "" in asked and not any(there.values()):
        reasons.append("the source names no StorageClass and the cluster has no default one")
    return reasons


def _facts(snapshot: RestoreSnapshot, judged: Judged) -> dict[str, Any]:
    cluster, base = snapshot.cluster, judged.base
    known = {**cluster, "metadata": {"uid": "gone", **cluster["metadata"]}}
    facts = dict(source.facts(known))
    del facts["primary"]
    facts |= {**manifest.filled_in(cluster), "goal": str(snapshot.goal), "timeline": snapshot.window.timeline}
    if base is not None:
        facts |= {
            "base backup": base.backup_id,
            "begin WAL": base.begin_wal,
            "begin LSN": base.begin_lsn,
            "system identifier": base.system_identifier,
        }
    return facts


def _words(goal: Goal, judged: Judged, params: RestoreDatabase) -> str:
    assert judged.base is not None
    instances = "one instance" if params.instances == 1 else f"{params.instances} instances"
    return f"restore to {goal}, from base backup {judged.base.backup_id}, {instances}; the source is only read"


def _kept(backup: Object, judged: Judged) -> Kept:
    target = Target(
        POSTGRES_BACKUP.api_version, POSTGRES_BACKUP.kind, objects.name(backup), objects.namespace(backup) or "", objects.uid(backup)
    )
    backup_id = at(backup, "status", "backupId", default="")
    if judged.base is not None and backup_id == judged.base.backup_id:
        return Kept(target, f"the restore begins from it ({judged.why}); it is only read")
    phase = at(backup, "status", "phase", default="no phase yet")
    ended = f", ended {stopped}" if (stopped := at(backup, "status", "stoppedAt")) else ""
    return Kept(target, f"not read: {phase}{ended}")
