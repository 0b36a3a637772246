"""The database's operations that produce no asset."""

from gsv_ops.database.proof.sweep import SWEEP_SCRATCH_CLUSTERS
from gsv_ops.operations.jobs import operation_job

SWEEP = operation_job(SWEEP_SCRATCH_CLUSTERS)
