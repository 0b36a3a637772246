"""promote_replica: a switchover that looks first, measures the write outage, and shows that no acknowledged commit is lost."""

from __future__ import annotations

from gsv_ops.database.promotion.execute import execute
from gsv_ops.database.promotion.observe import observe
from gsv_ops.database.promotion.params import PromoteReplica
from gsv_ops.database.promotion.plan import plan
from gsv_ops.database.promotion.verify import verify
from gsv_ops.operations.operation import Operation

DESCRIPTION = """
Makes a replica the primary, as `kubectl cnpg promote` does, but looks first: it streams, it is not behind, the archive is healthy, no
backup or recovery is going on. The plan shows every gate with its value. While it switches, a row is committed every tenth of a second
through the read-write Service: the write outage is measured, and every acknowledged commit is looked for afterwards.

**When to run:** before maintenance of the primary's node; to go back after a failover. Where the primary is dead, CloudNativePG fails
over by itself.
**What it changes:** the target primary in the Cluster's status; the operator stops the old primary, promotes the replica, and lets the
old one follow. Writes fail for some seconds, and sessions on the old primary end. It adds rows to the heartbeat's table.
**How to undo:** run it again for the former primary.
"""

PROMOTE_REPLICA = Operation(
    name="promote_replica",
    description=DESCRIPTION,
    params=PromoteReplica,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    rerun="re-executed from its failure it goes on waiting for the promotion that was asked for; for another one, plan anew.",
    pool="database_promotion",
    plan_required=True,
)
