"""What the database room notices by itself: backups that others took, and backups that nobody proved."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.database import backlog, failovers, goings_on, noticed, proofs, source
from gsv_ops.database import observe as look_at
from gsv_ops.database.assets import DatabaseAssets
from gsv_ops.database.backlog import Attempt
from gsv_ops.database.backup.operation import BACKUP_DATABASE
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.failovers import Failover
from gsv_ops.database.goings_on import Around, Trouble
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.database.noticed import Memory
from gsv_ops.database.promotion import record
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_BACKUP
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Desk, Fact, Timestamp
from gsv_ops.operations.report import metadata
from gsv_ops.operations.steps import is_over
from gsv_ops.platform import environments
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import Database

INTERVAL_SECONDS = 60
LOOK_SECONDS = 6.0
"""For the list of backups: that and the gate's questions fit into one tick."""

ASK_SECONDS = 4.0
"""For the primary's own word: a way to it that hangs keeps nobody from seeing the rest."""

CHECK = "check_database"
BACKUP_TAG = "gsv/backup_uid"
MOST_ATTEMPTS_READ = 25
MOST_BACKUPS_READ = 20


def sensors(assets: DatabaseAssets, check_job: Any) -> list[dg.SensorDefinition]:
    """The sensors of one database, running from the start only in an environment with `automation: true`."""
    bound, name = environments.binding(), assets.name
    running = dg.DefaultSensorStatus.RUNNING if bound.automation else dg.DefaultSensorStatus.STOPPED

    @dg.sensor(
        name=named("observe_backups_of_others", name),
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=running,
        description=f"Shows on the page of {name}'s backup what a ScheduledBackup, or somebody by hand, has backed up. It changes nothing.",
    )
    def observe(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult:
        try:
            found = backlog.by_others(_completed(desk, desk.binding.spec.databases[name]))
        except WrongCluster as problem:
            return dg.SensorResult(skip_reason=dg.SkipReason(f"nothing is shown of another cluster: {problem}"))
        told, cursor = backlog.not_seen(found, context.cursor)
        events = [
            dg.AssetObservation(assets.backup_key, description=f"taken by {backlog.made_by(b)}", metadata=metadata(_facts(b))) for b in told
        ]
        skip = None if events else dg.SkipReason("no backup of others since the last look")
        return dg.SensorResult(asset_events=events, cursor=cursor, skip_reason=skip)

    @dg.sensor(
        name=named("prove_unproven_backup", name),
        job=assets.proof.job,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=running,
        description=f"Starts a proof of the newest backup of {name} when nobody proved it in time; "
        "an inconclusive one is tried again a few times.",
    )
    def prove(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, PROVE_BACKUP.name, datetime.now(UTC)):
            return dg.SkipReason(reason)
        database = desk.binding.spec.databases[name]
        backups = _completed(desk, database)[-MOST_BACKUPS_READ:]
        uids = [objects.uid(backup) for backup in backups]
        proven = {uid for uid in uids if proofs.of(desk.records, database, uid)}
        tried = {uid: _attempts(context.instance, name, uid) for uid in uids}
        due = backlog.due(backups, proven, tried, database.timetable, datetime.now(UTC))
        if due.backup is None:
            return dg.SkipReason(due.reason)
        uid = objects.uid(due.backup)
        config = {"backup": objects.name(due.backup), "fingerprint_now": True}
        return dg.RunRequest(
            # a backup and an attempt, so that an inconclusive proof is tried again and nothing else is
            run_key=f"{uid}-{due.attempt}-{_last(tried.get(uid, []))}",
            run_config={"ops": {assets.proof_key.to_python_identifier(): {"config": config}}},
            tags={BACKUP_TAG: uid, DATABASE_TAG: name},
        )

    @dg.sensor(
        name=named("watch_database", name),
        jobs=[check_job, assets.backup.job],
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=running,
        description=f"Judges {name} anew within a minute when its primary moved without the desk, its archive is stale, a replica is "
        "behind, a backup failed or is stuck, a ScheduledBackup missed its time (then a backup is taken too), or it is hibernated or "
        "fenced; and again when that is over.",
    )
    def watch(context: dg.SensorEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.SensorResult | dg.SkipReason:
        database, now = desk.binding.spec.databases[name], datetime.now(UTC)
        try:
            around, troubles, asked = _troubles(context, desk, name)
        except (KubeError, WrongCluster, gate.NoAnswer) as problem:
            return dg.SkipReason(f"nothing is known of it: {problem}")
        # a record that cannot be read explains no change, and keeps nobody from being told of one
        promotion = look_at.seen(lambda: record.newest(desk.records, database, desk.binding.expected_identity or ""))
        ours = promotion if isinstance(promotion, record.Promotion) else None
        found = noticed.since(Memory.of_cursor(context.cursor), around.cluster, troubles, ours, now, asked=asked)
        cursor = found.memory.to_cursor()
        if not found.changed:
            told = (
                "the first look is remembered, and nothing is replayed"
                if found.first
                else f"nothing new; {len(troubles)} troubles are known"
            )
            return dg.SensorResult(cursor=cursor, skip_reason=dg.SkipReason(told))
        if reason := gate.why_no_look(desk, CHECK, now):
            return dg.SkipReason(reason)  # the cursor stays, so that it is noticed again
        if found.former:
            moved = Failover(found.former, found.memory.primary, now)
            failovers.write(desk.records, database, desk.binding.expected_identity or "", moved)
        context.log.info(f"{name}: {'; '.join(found.told())}")
        requests = [dg.RunRequest(found.run_key("check"), job_name=check_job.name, tags={DATABASE_TAG: name})]
        late = [trouble for trouble in found.begun if trouble.id.startswith(goings_on.MISSED)]
        if late and not goings_on.young(around.backups, database.timetable, now):
            if reason := gate.why_not(desk, BACKUP_DATABASE.name, now):
                context.log.warning(f"{late[0].reason}; {reason}")  # the nightly one is the next
            else:
                requests.append(dg.RunRequest(f"backup-{late[0].id}", job_name=assets.backup.job.name, tags={DATABASE_TAG: name}))
        return dg.SensorResult(run_requests=requests, cursor=cursor)

    return [observe, prove, watch]


def _troubles(context: dg.SensorEvaluationContext, factory: DeskFactory, name: str) -> tuple[Around, list[Trouble], bool]:
    """What is around it, what is not as it should be, and whether the primary could be asked for its part of that."""

    def look() -> tuple[Desk, Around]:
        factory.check()
        desk = factory.desk("", context.log.info, lambda run_id: is_over(context.instance, run_id))
        around = look_at.around(desk, desk.spec.databases[name])
        if isinstance(around, Unseen):
            raise gate.NoAnswer(around.why)
        return desk, around

    desk, around = gate.within(LOOK_SECONDS, look)
    database = desk.spec.databases[name]
    found = goings_on.of_objects(around, database, desk.now())
    if not source.primary(around.cluster):
        return around, found, False  # it is being moved: in a minute it can be asked
    try:
        answer = gate.within(ASK_SECONDS, lambda: look_at.of_servers(desk, database, around.cluster))
    except gate.NoAnswer as problem:
        answer = Unseen(str(problem))
    if isinstance(answer, Unseen):
        return around, [*found, Trouble(goings_on.NOT_ASKED, f"{goings_on.NOT_ASKED}: {answer.why}")], False
    return around, found + answer, True


def _last(tried: list[Attempt]) -> str:
    # a run key blocks for ever, also when the runs it counted were deleted: the last attempt's time makes it new
    return f"{max(attempt.begun for attempt in tried):%Y%m%dT%H%M%S}" if tried else "first"


def _completed(desk: DeskFactory, database: Database) -> list[Object]:
    def look() -> list[Object]:
        desk.check()
        return list(desk.kube.list(POSTGRES_BACKUP, database.namespace))

    backups = gate.within(LOOK_SECONDS, look)
    return backlog.completed([b for b in backups if at(b, "spec", "cluster", "name") == database.cluster])


def _attempts(instance: dg.DagsterInstance, database: str, backup_uid: str) -> list[Attempt]:
    records = instance.get_run_records(dg.RunsFilter(tags={BACKUP_TAG: backup_uid, DATABASE_TAG: database}), limit=MOST_ATTEMPTS_READ)
    return [
        Attempt(
            record.dagster_run.is_finished,
            record.dagster_run.tags.get("gsv/verdict", ""),
            record.create_timestamp if record.create_timestamp.tzinfo else record.create_timestamp.replace(tzinfo=UTC),
        )
        for record in records
    ]


def _facts(backup: Object) -> dict[str, Fact]:
    status = backup["status"]
    return {
        "backup": objects.name(backup),
        "backup id": status["backupId"],
        "stopped at": Timestamp(parse_time(status["stoppedAt"])),
        "begin WAL": str(status.get("beginWal", "unknown")),
        "end WAL": str(status.get("endWal", "unknown")),
    }
