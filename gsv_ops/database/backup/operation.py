"""backup_database: a base backup whose WAL is in the store, with a fingerprint of every row taken right after it."""

from __future__ import annotations

from gsv_ops.database.backup.execute import execute
from gsv_ops.database.backup.plan import BackupDatabase, observe, plan
from gsv_ops.database.backup.verify import verify
from gsv_ops.operations.operation import Operation

DESCRIPTION = """
Takes a base backup of the database by the method its live cluster is set up for, waits until the WAL to its end is really in the
object store, and fingerprints every row at one WAL position right after it, so that `prove_backup` can compare a restore row for row.

**When to run:** before anything risky; nightly by schedule.
**What it changes:** creates one `Backup` object and switches the WAL. Nothing is deleted.
**How to undo:** nothing to undo; the store's retention removes old backups.
"""

BACKUP_DATABASE = Operation(
    name="backup_database",
    description=DESCRIPTION,
    params=BackupDatabase,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="yes; re-executed from its failure it goes on with the Backup this run made, a new run takes another. Nothing was deleted.",
    pool="database_backup",
)
