"""prove_backup: a backup counts when a restore of it gave back the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsv_ops.database import scratch_run
from gsv_ops.database.proof.execute import execute
from gsv_ops.database.proof.plan import ProveBackup, observe, plan
from gsv_ops.database.proof.verify import verify
from gsv_ops.kube.resources import POSTGRES_BACKUP
from gsv_ops.operations.operation import Operation
from gsv_ops.operations.plan import Plan

DESCRIPTION = """
Restores a backup into a scratch cluster of its own, to exactly the WAL position of its fingerprint, reads every row there and compares.
The verdict is **proven**, **failed** or **inconclusive**; only proven materialises the asset.

**When to run:** weekly by schedule, after every backup that something depends on, before an upgrade.
**What it changes:** makes one Cluster and one NetworkPolicy beside the source and takes both down again, also when it fails or is
cancelled. The source is only read. Nothing restored can call out, and nothing is archived.
**How to undo:** nothing to undo; what a killed run leaves is removed by the next run and by `sweep_scratch_clusters`.
"""


def look(plan: Plan, run_id: str, results: Mapping[str, Any]) -> list[str]:
    """The Backup, and that nothing of the scratch cluster is left."""
    namespaces = sorted({action.target.namespace for action in plan.actions})
    backup = plan.facts.get("backup", "")
    lines = [f"kubectl describe {POSTGRES_BACKUP.qualified} {backup} -n {namespace}" for namespace in namespaces if backup]
    return [*lines, *scratch_run.look(plan, run_id, results)]


PROVE_BACKUP = Operation(
    name="prove_backup",
    description=DESCRIPTION,
    params=ProveBackup,
    observe=observe,
    plan=plan,
    execute=execute,
    verify=verify,
    release=scratch_run.release,
    look=look,
    rerun="yes, as a new run or by re-executing all of its steps; what this run made is taken down, and the source was only read.",
    pool="database_proof",
)
