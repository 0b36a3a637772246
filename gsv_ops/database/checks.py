"""The database's checks: judged every quarter of an hour and with their assets, so that a page turns red by itself when nothing runs."""

from collections.abc import Iterator

import dagster as dg

from gsv_ops.database import conditions, observe
from gsv_ops.database.assets import BACKUP_KEY, DATABASE, PROOF_KEY
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.report import check_result
from gsv_ops.operations.steps import desk_of

_SAID = {
    conditions.BACKUP_RECENT: (BACKUP_KEY, "The newest base backup that Barman finished is young enough, by the object store."),
    conditions.WAL_ARCHIVED: (BACKUP_KEY, "The archiver does not fail, and what it archived last is in the object store."),
    conditions.PROOF_RECENT: (PROOF_KEY, "A restore of a backup gave back the same rows lately."),
    conditions.NO_SCRATCH: (PROOF_KEY, "Every scratch cluster that exists belongs to a proof that is going on."),
}


@dg.multi_asset_check(
    name="database_conditions",
    description="Whether the backups, the WAL archive and the proofs of the database are as they should be. Reads only.",
    specs=[dg.AssetCheckSpec(name, asset=key, description=said) for name, (key, said) in _SAID.items()],
    can_subset=True,
)
def database_conditions(context: dg.AssetCheckExecutionContext, desk: dg.ResourceParam[DeskFactory]) -> Iterator[dg.AssetCheckResult]:
    """One result for each selected check; what cannot be read is a failed check that says why."""
    here = desk_of(context.op_execution_context, desk)
    database = here.spec.databases[DATABASE]
    watch, now = database.watch, here.now()
    judges = {
        conditions.BACKUP_RECENT: lambda: conditions.newest_backup_is_recent(observe.base_backups(here, database), watch, now),
        conditions.WAL_ARCHIVED: lambda: conditions.wal_is_archived(observe.archive(here, database), watch, now),
        conditions.PROOF_RECENT: lambda: conditions.newest_proof_is_recent(observe.newest_proof(here, database), watch, now),
        conditions.NO_SCRATCH: lambda: conditions.no_scratch_cluster_is_left(observe.scratch_clusters(here, database)),
    }
    for key in sorted(context.selected_asset_check_keys, key=str):
        yield check_result(judges[key.name](), key.asset_key)


CHECK = dg.define_asset_job(
    "check_database",
    selection=dg.AssetSelection.checks(database_conditions),
    description="""
Judges the database's good conditions: newest backup, newest proof, WAL archive, scratch clusters.

**When to run:** every quarter of an hour by schedule; by hand after something was mended.
**What it changes:** nothing; it reads the object store, the primary's archiver and the cluster.
**How to undo:** nothing to undo.
""",
)
