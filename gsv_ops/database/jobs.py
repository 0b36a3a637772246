"""The database's operations that produce no asset."""

from gsv_ops.database.moment.operation import PROVE_POINT_IN_TIME
from gsv_ops.database.promotion.operation import PROMOTE_REPLICA
from gsv_ops.database.proof.sweep import SWEEP_SCRATCH_CLUSTERS
from gsv_ops.database.restore.operation import RESTORE_DATABASE
from gsv_ops.operations.jobs import operation_job

SWEEP = operation_job(SWEEP_SCRATCH_CLUSTERS)
PROVE_MOMENT = operation_job(PROVE_POINT_IN_TIME)
RESTORE = operation_job(RESTORE_DATABASE)
PROMOTE = operation_job(PROMOTE_REPLICA)
