"""The desk's own operations as jobs."""

from gsv_ops.housekeeping.freeze_desk import FREEZE_DESK
from gsv_ops.housekeeping.tidy_records import TIDY_RECORDS
from gsv_ops.housekeeping.undo import UNDO as UNDO_OPERATION
from gsv_ops.housekeeping.unfreeze_desk import UNFREEZE_DESK
from gsv_ops.operations.jobs import operation_job

FREEZE = operation_job(FREEZE_DESK)
TIDY = operation_job(TIDY_RECORDS)
UNDO = operation_job(UNDO_OPERATION)
UNFREEZE = operation_job(UNFREEZE_DESK)
