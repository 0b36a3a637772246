"""The rows about prove_backup, and about the sweeper that takes down what a killed proof left."""

from gsv_ops_tests.cluster.fault_table.row import Fault

WAL_MISSING = Fault(
    "the WAL segment that the target lies in is missing from the store",
    "failed",
    within=180,  # the operator says nothing for eleven minutes
    says=("failed: ", "recovery ended before configured recovery target was reached"),  # PostgreSQL's word, from the recovery pod's log
    quick=True,
)
ROWS_CHANGED = Fault(
    "a row is deleted and another changed in the restored database",
    "failed",
    within=240,
    says=(
        "2 differences",
        "registry.tickets: has another number of rows",
        "registry.users: has as many rows with other content",
    ),
)
NO_FINGERPRINT = Fault(
    "the backup has no fingerprint, since a transaction was in the way when it was taken",
    "refused",
    within=45,
    says=("inconclusive: there is no fingerprint to compare a restore with", "user postgres, database postgres, application forgotten"),
)
CANCELLED = Fault(
    "the run is cancelled while it recovers",
    "cancelled",
    within=180,
)
KILLED_RECOVERING = Fault(
    "the worker is killed while the scratch cluster recovers; the next proof takes down what is left",
    "killed",
    within=90,
    left=("scratch cluster",),
    quick=True,
)
KILLED_AND_SWEPT = Fault(
    "the worker is killed when the scratch cluster has a pod, and no other proof follows: the sweeper takes down what is left",
    "good",
    within=300,
)
TWO_AT_ONCE = Fault(
    "two proofs are launched at the same time: one after the other, and never two scratch clusters",
    "proven",
    within=480,
)
SWITCHOVER_BEFORE = Fault(
    "a switchover between the backup and its proof: the target lies on the timeline that was left",
    "proven",
    within=240,
)
SWITCHOVER_AFTER = Fault(
    "a backup that was taken right after a switchover, on the former replica",
    "proven",
    within=240,
)
PLAN_MOVED_ON = Fault(
    "the source's parameters were changed after the plan was read, and before it is applied",
    "refused",
    within=45,
    says=("the cluster has moved on since plan p-", "action no longer planned: create Cluster cmp/cmp-postgres-proof-{run}"),
    quick=True,
)
PLAN_BACKUP_GONE = Fault(
    "the Backup was deleted after the plan was read, and before it is applied",
    "refused",
    within=45,
    says=('" in namespace "cmp"',),
)

ROWS = (
    WAL_MISSING,
    ROWS_CHANGED,
    NO_FINGERPRINT,
    CANCELLED,
    KILLED_RECOVERING,
    KILLED_AND_SWEPT,
    TWO_AT_ONCE,
    SWITCHOVER_BEFORE,
    SWITCHOVER_AFTER,
    PLAN_MOVED_ON,
    PLAN_BACKUP_GONE,
)
