"""The database's checks: judged every quarter of an hour and with their assets, so that a page turns red by itself when nothing runs."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from gsv_ops.database import conditions, heartbeat, observe
from gsv_ops.database.assets import DatabaseAssets
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.kube.errors import KubeError
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.operation import Check, Desk
from gsv_ops.operations.report import check_result
from gsv_ops.operations.steps import desk_of
from gsv_ops.platform import environments
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import Database, Watch

_OF_BACKUP = {
    conditions.BACKUP_RECENT: "The newest base backup that Barman finished is young enough, by the object store.",
    conditions.WAL_ARCHIVED: "The archiver does not fail, and what it archived last is in the object store.",
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
    of_backup = {**_OF_BACKUP, **(_OF_HEARTBEAT if limits else {})}
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
        once: list[Any] = []

        def heartbeats(desk: Desk, database: Database) -> Any:
            if not once:  # both checks are of one look
                once.append(observe.heartbeats(desk, database))
            return once[0]

        judges: dict[str, tuple[Callable[[Desk, Database], Any], Callable[[Any], Check]]] = {
            conditions.BACKUP_RECENT: (observe.base_backups, lambda seen: conditions.newest_backup_is_recent(seen, watch, now)),
            conditions.WAL_ARCHIVED: (observe.archive, lambda seen: conditions.wal_is_archived(seen, watch)),
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


def check_job(database: str, judged: dg.AssetChecksDefinition) -> Any:
    """The job that judges the good conditions of one database."""
    return dg.define_asset_job(
        named("check_database", database),
        selection=dg.AssetSelection.checks(judged),
        tags={DATABASE_TAG: database},
        description=f"""
Judges the good conditions of {database}: newest backup, newest proof and what it found, WAL archive, heartbeat, scratch clusters.

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
