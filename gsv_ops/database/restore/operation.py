"""restore_database: a new Cluster beside the source, from its archive, as it was at any moment that the archive reaches."""

from __future__ import annotations

from gsv_ops.database.restore.execute import execute, release
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.database.restore.plan import observe, plan
from gsv_ops.database.restore.verify import verify
from gsv_ops.operations.operation import Operation

DESCRIPTION = """
Restores the database into a new Cluster beside the source: to the end of the archived WAL, a time, a WAL position, a transaction, a
named restore point, or to exactly what a proof compared. It works also when the source is gone. The plan shows what can be restored, the
base backup and why it, the WAL to replay and how long that may take, the whole manifest and its difference from the source; a goal that
cannot be reached is refused before anything is made, with the nearest that can. Applied only by a plan that was read.

**When to run:** data was lost or spoilt; to look at how it was; to get the source back when it is gone.
**What it changes:** makes one Cluster and its first Backup, in an archive path of its own. The source is only read; no workload is moved.
**How to undo:** delete the new Cluster. One whose recovery fails is taken down by itself, unless `keep_failed`; one that came up stays.
"""

RESTORE_DATABASE = Operation(
    name="restore_database",
    description=DESCRIPTION,
    params=RestoreDatabase,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    release=release,
    rerun="re-execute this run from its failure: it goes on with the Cluster it made, or makes it anew where it was taken down.",
    plan_required=True,
)
