"""prove_point_in_time: a moment counts as reachable when a restore to it has everything from before it and nothing of after it."""

from __future__ import annotations

from gsv_ops.database.moment.execute import execute
from gsv_ops.database.moment.plan import ProvePointInTime, observe, plan
from gsv_ops.database.moment.verify import verify
from gsv_ops.database.scratch_run import look, release
from gsv_ops.operations.operation import Operation

DESCRIPTION = """
Restores to a random moment of what can be restored, into a scratch cluster of its own, and holds its heartbeats against the source's: every
one that was committed before the moment must be there, and none of after it. The verdict is **proven**, **failed** or **inconclusive**. The
seed and the moment stand in the plan and in the result, so that it can be repeated.

**When to run:** now and then; after a switchover; when a restore to a time is to be relied on.
**What it changes:** makes one Cluster and one NetworkPolicy beside the source and takes both down again, also when it fails or is
cancelled. The source is only read. Nothing restored can call out, and nothing is archived.
**How to undo:** nothing to undo; what a killed run leaves is removed by the next run and by `sweep_scratch_clusters`.
"""

PROVE_POINT_IN_TIME = Operation(
    name="prove_point_in_time",
    description=DESCRIPTION,
    params=ProvePointInTime,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    release=release,
    look=look,
    rerun="yes, as a new run or by re-executing all of its steps; what this run made is taken down, and the source was only read.",
    pool="database_proof",
)
