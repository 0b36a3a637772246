"""The database's checks: judged every quarter of an hour and with their assets, so that a page turns red by itself when nothing runs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.database import conditions, goings_on, heartbeat, observe
from gsv_ops.database.assets import DatabaseAssets, connections_key, replication_key
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.database.servers import conditions as servers
from gsv_ops.database.servers import observe as look_at
from gsv_ops.kube.errors import KubeError
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Check, Desk
from gsv_ops.operations.report import check_result, metadata
from gsv_ops.operations.steps import desk_of
from gsv_ops.platform import environments
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import Database, Watch

_OF_BACKUP = {
    conditions.BACKUP_RECENT: "The newest base backup that Barman finished is young enough, by the object store.",
    conditions.WAL_ARCHIVED: "The archiver does not fail, and what it archived last is in the object store.",
}
_OF_GOINGS_ON = {
    goings_on.BACKUPS_END: "No backup failed since the newest completed one, and none is stuck in a phase.",
    goings_on.SCHEDULES_KEPT: "Each ScheduledBackup that is not suspended made its Backup when it was due.",
}
_OF_CLUSTER = {
    goings_on.UP: "The cluster is neither hibernated nor fenced, nor in a phase that somebody must see to.",
    goings_on.MOVED: "The primary is where the desk has put it: no failover was noticed lately.",
}
_OF_HEARTBEAT = {
    heartbeat.WRITTEN: "The heartbeat's newest row, written through the read-write Service, is young enough.",
    heartbeat.RECOVERY_POINT: "The newest heartbeat that is in the object store is young enough: the measured RPO.",
}
_OF_PROOF = {
    conditions.PROOF_RECENT: "A restore of a backup gave back the same rows lately.",
    conditions.ROWS_EQUAL: "The newest proof gave back the same rows, and it is not much older than the newest backup.",
    conditions.NO_SCRATCH: "Every scratch cluster that exists belongs to a proof that is going on.",
}


def conditions_of(assets: DatabaseAssets) -> dg.AssetChecksDefinition:
    """The good conditions of one database."""
    name = assets.name
    limits = environments.binding().spec.databases[name].heartbeat
    of_backup = {**_OF_BACKUP, **_OF_GOINGS_ON, **(_OF_HEARTBEAT if limits else {})}
    specs = [dg.AssetCheckSpec(check, asset=assets.backup_key, description=said) for check, said in of_backup.items()]
    specs += [dg.AssetCheckSpec(check, asset=assets.proof_key, description=said) for check, said in _OF_PROOF.items()]

    @dg.multi_asset_check(
        name=named("database_conditions", name),
        description=f"Whether the backups, the WAL archive and the proofs of {name} are as they should be. Reads only.",
        specs=specs,
        can_subset=True,
    )
    def database_conditions(context: dg.AssetCheckExecutionContext, desk: dg.ResourceParam[DeskFactory]) -> Iterator[dg.AssetCheckResult]:
        """One result for each selected check; what cannot be read, or is read of another cluster, is a failed check that says why."""
        database = desk.binding.spec.databases[name]
        watch, now = database.watch, datetime.now(UTC)
        here = _right_desk(context, desk)
        around = _once(observe.around)
        heartbeats = _once(observe.heartbeats)
        judges: dict[str, tuple[Callable[[Desk, Database], Any], Callable[[Any], Check]]] = {
            conditions.BACKUP_RECENT: (observe.base_backups, lambda seen: conditions.newest_backup_is_recent(seen, watch, now)),
            conditions.WAL_ARCHIVED: (observe.archive, lambda seen: conditions.wal_is_archived(seen, watch)),
            goings_on.BACKUPS_END: (around, lambda seen: goings_on.backups_end(seen, database.backup, now)),
            goings_on.SCHEDULES_KEPT: (around, lambda seen: goings_on.schedules_kept(seen, watch, now)),
            heartbeat.WRITTEN: (heartbeats, lambda seen: heartbeat.is_written(seen, heartbeat.of(database))),
            heartbeat.RECOVERY_POINT: (heartbeats, lambda seen: heartbeat.recovery_point_is_recent(seen, heartbeat.of(database))),
            conditions.PROOF_RECENT: (observe.newest_proof, lambda seen: conditions.newest_proof_is_recent(seen, watch, now)),
            conditions.ROWS_EQUAL: (_rows, lambda seen: _rows_judged(seen, watch)),
            conditions.NO_SCRATCH: (observe.scratch_clusters, conditions.no_scratch_cluster_is_left),
        }
        for key in sorted(context.selected_asset_check_keys, key=str):
            look, judge = judges[key.name]
            yield check_result(judge(_looked(look, here, database)), key.asset_key)

    return database_conditions


def servers_of(name: str) -> dg.AssetChecksDefinition:
    """The good conditions of one database's servers; each look is told on its asset's page too, where its numbers are plotted."""
    of_replication, of_connections = replication_key(name), connections_key(name)
    specs = [
        dg.AssetCheckSpec(check, asset=of_replication, description=said)
        for check, said in {**_OF_CLUSTER, **servers.OF_REPLICATION}.items()
    ]
    specs += [dg.AssetCheckSpec(check, asset=of_connections, description=said) for check, said in servers.OF_CONNECTIONS.items()]

    @dg.multi_asset_check(
        name=named("database_servers", name),
        description=f"Whether the servers of {name} follow each other, take connections, and are not held up. Reads only.",
        specs=specs,
    )
    def database_servers(context: dg.AssetCheckExecutionContext, desk: dg.ResourceParam[DeskFactory]) -> Iterator[dg.AssetCheckResult]:
        """One result for each check, and an observation of each asset that could be looked at."""
        database = desk.binding.spec.databases[name]
        here = _right_desk(context, desk)
        yield check_result(goings_on.is_up(_looked(observe.around, here, database)), of_replication)
        failover = _looked(observe.failover, here, database)
        yield check_result(goings_on.did_not_move(failover, database.watch, datetime.now(UTC)), of_replication)
        looks: tuple[tuple[dg.AssetKey, Any, Any, Any], ...] = (
            (of_replication, look_at.replicas, servers.of_replication, servers.replication_facts),
            (of_connections, look_at.connections, servers.of_connections, servers.connection_facts),
        )
        for key, look, judge, facts in looks:
            seen = _looked(look, here, database)
            if not isinstance(seen, conditions.Unseen):
                context.op_execution_context.log_event(dg.AssetObservation(key, metadata=metadata(facts(seen))))
            yield from (check_result(check, key) for check in judge(seen, database.servers))

    return database_servers


def check_job(database: str, *judged: dg.AssetChecksDefinition) -> Any:
    """The job that judges the good conditions of one database."""
    return dg.define_asset_job(
        named("check_database", database),
        selection=dg.AssetSelection.checks(*judged),
        tags={DATABASE_TAG: database},
        description=f"""
Judges the good conditions of {database}: newest backup, newest proof and what it found, WAL archive, heartbeat, scratch clusters,
replication and connections.

**When to run:** every quarter of an hour by schedule; by hand after something was mended.
**What it changes:** nothing; it reads the object store, the primary's archiver and the cluster.
**How to undo:** nothing to undo.
""",
    )


def _looked(look: Callable[[Desk, Database], Any], here: Desk | conditions.Unseen, database: Database) -> Any:
    """What the look gives; a look that breaks is unknown, since these checks run with the backup and the proof and must not fail them."""
    if isinstance(here, conditions.Unseen):
        return here
    try:
        return look(here, database)
    except Exception as problem:  # noqa: BLE001  a defect of one check keeps no other from being judged
        return conditions.Unseen(f"unexpected {type(problem).__name__}: {problem}")


def _once(look: Callable[[Desk, Database], Any]) -> Callable[[Desk, Database], Any]:
    """The look, whose first answer serves every check of this run."""
    answers: list[Any] = []

    def looked(desk: Desk, database: Database) -> Any:
        if not answers:
            answers.append(look(desk, database))
        return answers[0]

    return looked


def _rows(desk: Desk, database: Database) -> Any:
    return observe.compared(desk, database), observe.newest_backup(desk, database)


def _rows_judged(seen: Any, watch: Watch) -> Check:
    newest, backup = (seen, None) if isinstance(seen, conditions.Unseen) else seen
    return conditions.restored_rows_are_equal(newest, backup, watch)


def _right_desk(context: dg.AssetCheckExecutionContext, factory: DeskFactory) -> Desk | conditions.Unseen:
    """The desk of this run on its environment's cluster: what another cluster's database is like says nothing of this one's."""
    try:
        factory.check()
        return desk_of(context.op_execution_context, factory)
    except (KubeError, WrongCluster) as problem:
        return conditions.Unseen(str(problem))
