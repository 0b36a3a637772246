"""What of a backup the object store still holds: asked before a restore is begun, and again when one failed."""

from __future__ import annotations

from gsv_ops.database import source, wal_needed
from gsv_ops.database.backup.execute import source_of, store_of
from gsv_ops.database.backup.verify import DONE
from gsv_ops.database.lsn import parse_lsn, segment_name
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import Database

MOST_NAMED = 3


def why_no_base(desk: Desk, database: Database, plan: Plan) -> str:
    """Why the plan's base backup cannot be restored at all; empty if the store holds it whole. Raises StoreUnreadable."""
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    wanted = plan.facts["backup id"]
    found = next((base for base in store_of(desk, database, cluster).base_backups() if base.backup_id == wanted), None)
    said = f"Backup {plan.facts['backup']} is completed"
    if found is None:
        place = f"{source.archive(cluster).server_name} has no base backup {wanted}"
        return f"{said}, and in the object store {place}: retention, a bucket's rule or somebody removed it. It is no backup any more."
    if found.status != DONE:
        return f"{said}, and Barman says that its base backup {wanted} is {found.status}, expected {DONE}"
    return ""


def lacking_wal(desk: Desk, database: Database, plan: Plan, lsn: str, timeline: int) -> str:
    """Which WAL between the base backup and `lsn` the store lacks, in a sentence; empty if none, and what is not known where it is not."""
    try:
        with source_of(desk, database) as primary:
            size = archiver_status(primary.session).segment_size
            last = segment_name(parse_lsn(lsn), timeline, size)
            missing = wal_needed.missing(primary.store, plan.facts["begin WAL"], last, size)
    except (OperationFailed, KubeError) as problem:
        return f" Whether the object store has all the WAL up to the target is not known: {problem}"
    if not missing:
        return ""
    more = f" and {len(missing) - MOST_NAMED} more" if len(missing) > MOST_NAMED else ""
    return f" The object store lacks WAL that it reads: {', '.join(missing[:MOST_NAMED])}{more}."
