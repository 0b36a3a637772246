"""The cleanups as jobs."""

from gsv_ops.cleanup.replica_sets import PRUNE_REPLICASETS
from gsv_ops.operations.jobs import operation_job

REPLICASETS = operation_job(PRUNE_REPLICASETS)
