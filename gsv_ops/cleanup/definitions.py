"""What the cleanup room brings to Dagster."""

import dagster as dg

from gsv_ops.cleanup.jobs import JOBS, PODS, REPLICASETS


def definitions() -> dg.Definitions:
    """The room's jobs; resources come from gsv_ops/definitions.py."""
    return dg.Definitions(jobs=[REPLICASETS, JOBS, PODS])
