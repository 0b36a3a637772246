"""The rows about restore_database and prove_point_in_time."""

from gsv_ops_tests.cluster.fault_table.row import Fault

TARGET_PAST = Fault(
    "a restore is applied whose time is one second past the last archived commit",
    "refused",
    within=45,
    says=("is not before the last commit in the archive", "the nearest that is known to be reachable is 20", "Changed: nothing."),
    quick=True,
)
MOMENT_BEFORE_SWITCHOVER = Fault("a moment right before a switchover, from a base backup of before it", "proven", within=180)
MOMENT_AFTER_SWITCHOVER = Fault(
    "a moment right after a switchover, from a base backup of before it: the commits after it must be there", "proven", within=180
)
MOMENT_AFTER_NEXT_BACKUP = Fault("a moment after a switchover and the base backup that follows it", "proven", within=180)

ROWS = (TARGET_PAST, MOMENT_BEFORE_SWITCHOVER, MOMENT_AFTER_SWITCHOVER, MOMENT_AFTER_NEXT_BACKUP)
