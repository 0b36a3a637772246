"""The cleanups as jobs."""

from gsv_ops.cleanup.finished_jobs import PRUNE_JOBS
from gsv_ops.cleanup.images.prune import PRUNE_IMAGES
from gsv_ops.cleanup.leftover_pods import PRUNE_PODS
from gsv_ops.cleanup.replica_sets import PRUNE_REPLICASETS
from gsv_ops.operations.jobs import operation_job

REPLICASETS = operation_job(PRUNE_REPLICASETS)
IMAGES_PRUNED = operation_job(PRUNE_IMAGES)
JOBS = operation_job(PRUNE_JOBS)
PODS = operation_job(PRUNE_PODS)
