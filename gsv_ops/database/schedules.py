"""What the database room does by itself, where the environment allows it. Times, zone and limits stand in platform.yaml."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.database import conditions, observe
from gsv_ops.database.assets import DatabaseAssets
from gsv_ops.database.backup.operation import BACKUP_DATABASE
from gsv_ops.database.jobs import SWEEP
from gsv_ops.database.names import named
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.database.proof.sweep import SWEEP_SCRATCH_CLUSTERS
from gsv_ops.kube.errors import KubeError
from gsv_ops.operations import gate
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.steps import is_over
from gsv_ops.platform import environments

LOOK_SECONDS = 6.0
"""For the age of the newest backup: that and the gate's questions fit into one tick."""


def schedules(assets: DatabaseAssets, check_job: Any) -> list[dg.ScheduleDefinition]:
    """The schedules of one database, running from the start only in an environment with `automation: true`."""
    bound, name = environments.binding(), assets.name
    times = bound.spec.databases[name].timetable
    running = dg.DefaultScheduleStatus.RUNNING if bound.automation else dg.DefaultScheduleStatus.STOPPED

    @dg.schedule(
        name=named("backup_database_nightly", name),
        job=assets.backup.job,
        cron_schedule=times.backup,
        description=f"Takes a backup of {name} every night, unless a completed one is young enough.",
        execution_timezone=times.time_zone,
        default_status=running,
    )
    def backup(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, BACKUP_DATABASE.name, datetime.now(UTC)) or _why_no_backup_is_due(context, desk, name):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_key=f"backup-{name}-{context.scheduled_execution_time:%Y%m%dT%H%M}")

    @dg.schedule(
        name=named("prove_backup_weekly", name),
        job=assets.proof.job,
        cron_schedule=times.proof,
        description=f"Proves the newest backup of {name} every week.",
        execution_timezone=times.time_zone,
        default_status=running,
    )
    def proof(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, PROVE_BACKUP.name, datetime.now(UTC)):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_key=f"proof-{name}-{context.scheduled_execution_time:%Y%m%dT%H%M}")

    @dg.schedule(
        name=named("check_database_every_quarter_hour", name),
        job=check_job,
        cron_schedule=times.checks,
        description=f"Judges the good conditions of {name}. It changes nothing, so it runs also while the desk is frozen.",
        execution_timezone=times.time_zone,
        default_status=running,
    )
    def checks(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        return dg.RunRequest()

    @dg.schedule(
        name=named("sweep_scratch_clusters_hourly", name),
        job=SWEEP,
        cron_schedule=times.sweep,
        description="Removes what killed proofs left behind, of whichever database.",
        execution_timezone=times.time_zone,
        default_status=running,
    )
    def sweep(context: dg.ScheduleEvaluationContext, desk: dg.ResourceParam[DeskFactory]) -> dg.RunRequest | dg.SkipReason:
        if reason := gate.why_not(desk, SWEEP_SCRATCH_CLUSTERS.name, datetime.now(UTC)):
            return dg.SkipReason(reason)
        return dg.RunRequest(run_config={"mode": "apply"})

    return [backup, proof, checks, sweep]


def _why_no_backup_is_due(context: dg.ScheduleEvaluationContext, factory: DeskFactory, name: str) -> str:
    def look() -> str:
        desk = factory.desk("", context.log.info, lambda run_id: is_over(context.instance, run_id))
        database = desk.spec.databases[name]
        return conditions.why_no_backup_is_due(observe.base_backups(desk, database), database.timetable, desk.now())

    try:
        return gate.within(LOOK_SECONDS, look)
    except (KubeError, gate.NoAnswer) as problem:
        # a tick that fails is not repeated: better one backup too many than none tonight
        context.log.warning(f"how old the newest backup is, is not known, so one is taken: {problem}")
        return ""
