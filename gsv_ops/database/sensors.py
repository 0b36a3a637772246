"""What the database room notices by itself: backups that others took, and backups that nobody proved."""

from datetime import UTC, datetime

import dagster as dg

from gsv_ops.database import backlog, proofs
from gsv_ops.database.assets import DatabaseAssets
from gsv_ops.database.backlog import Attempt
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_BACKUP
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Fact, Timestamp
from gsv_ops.operations.report import metadata
from gsv_ops.platform import environments
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import Database

INTERVAL_SECONDS = 60
LOOK_SECONDS = 6.0
"""For the list of backups: that and the gate's questions fit into one tick."""

BACKUP_TAG = "gsv/backup_uid"
MOST_ATTEMPTS_READ = 25
MOST_BACKUPS_READ = 20


def sensors(assets: DatabaseAssets) -> list[dg.SensorDefinition]:
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

    return [observe, prove]


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
