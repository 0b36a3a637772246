"""The changes of workloads as jobs."""

from gsv_ops.maintenance.rolling_restart import ROLLING_RESTART
from gsv_ops.maintenance.scale_workload import SCALE_WORKLOAD
from gsv_ops.maintenance.set_autoscaling import SET_AUTOSCALING
from gsv_ops.maintenance.set_resources import SET_RESOURCES
from gsv_ops.operations.jobs import operation_job

RESTART = operation_job(ROLLING_RESTART)
SCALE = operation_job(SCALE_WORKLOAD)
RESOURCES = operation_job(SET_RESOURCES)
AUTOSCALING = operation_job(SET_AUTOSCALING)
