"""The rows about prove_backup, and about the sweeper that takes down what a killed proof left."""

from gsv_ops_tests.cluster.fault_table.row import Fault

WAL_MISSING = Fault(
    "the WAL segment that the target lies in is missing from the store",
    "failed",
    within=180,  # the operator says nothing for eleven minutes
    says=(
        "failed: ",
        "recovery ended before configured recovery target was reached",  # PostgreSQL's word, from the recovery pod's log
        "The object store lacks WAL that it reads: 0000000",
    ),
    quick=True,
)
WAL_TRUNCATED = Fault(
    "the second half of the WAL segment that the target lies in is missing",
    "failed",
    within=180,
    says=("failed: ",),
)
WAL_SWAPPED = Fault(
    "two WAL segments lie under each other's names in the store",
    "failed",
    within=180,
    says=("failed: ",),
)
WAL_OTHER_TIMELINE = Fault(
    "the WAL segment that the target lies in is of another timeline",
    "failed",
    within=180,
    says=("failed: ", "unexpected timeline ID 7 in"),
)
BASE_TRUNCATED = Fault(
    "the second half of the base backup's tar is missing",
    "failed",
    within=180,
    says=("failed: ",),
)
BASE_EXPIRED = Fault(
    "the base backup is gone from the store, and its Backup says completed",
    "failed",
    within=45,
    says=("failed: ", "has no base backup ", "It is no backup any more."),
)
STORE_DOWN_BEFORE = Fault(
    "the object store is down before the proof begins",
    "inconclusive",
    within=90,
    says=("inconclusive: ", "10.88.0.1:9300 could not be listed"),
)
STORE_DOWN_DURING = Fault(
    "the object store goes down while the base backup is fetched",
    "inconclusive",
    within=240,
    says=("inconclusive: ", "which says nothing of the backup", "the object store did not answer"),
)
CREDENTIALS_WRONG = Fault(
    "the Secret of the object store holds a key that the store does not know, when a proof begins",
    "inconclusive",
    within=90,
    says=("inconclusive: ", "it answered SignatureDoesNotMatch"),
)
VOLUME_FULL = Fault(
    "the scratch cluster's volume holds less than it says, and is full before everything is restored",
    "inconclusive",
    within=180,
    says=("inconclusive: ", "which says nothing of the backup", "is full; free it, or grow the source's spec.storage.size"),
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
CANCELLED_READING = Fault(
    "the run is cancelled while it reads what it restored",
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

KILLED_READING = Fault(
    "the worker is killed while it reads the restored rows: the sweeper takes down what is left",
    "killed",
    within=90,
    left=("scratch cluster",),
)
KILLED_RELEASING = Fault(
    "the worker is killed while it takes the scratch cluster down: the sweeper takes down the rest",
    "killed",
    within=90,
    left=("scratch cluster",),
)
OPERATOR_BEFORE = Fault(
    "the operator's pod is deleted right before the scratch cluster is asked for, so its webhook is away",
    "proven",
    within=240,
)
OPERATOR_ASKED = Fault(
    "the operator's pod is deleted as soon as the scratch cluster is asked for",
    "proven",
    within=240,
)
OPERATOR_RECOVERING = Fault(
    "the operator's pod is deleted while the scratch cluster recovers",
    "proven",
    within=240,
)
OPERATOR_STARTING = Fault(
    "the operator's pod is deleted when the restored database starts",
    "proven",
    within=240,
)
OPERATOR_READING = Fault(
    "the operator's pod is deleted while the restored rows are read",
    "proven",
    within=240,
)
API_RECOVERING = Fault(
    "the API server is restarted while the scratch cluster recovers",
    "proven",
    within=240,
)
API_READING = Fault(
    "the API server is restarted while the restored rows are read through it",
    "proven",
    within=240,
)
CLASH_COMPLETED = Fault(
    "a backup of a cluster that was made anew over an archive that is not empty: the operator says completed, and it cannot be restored",
    "stopped",
    within=120,
    says=("is not in the object store after ", "its newest attempt failed"),
)

ROWS = (
    WAL_MISSING,
    WAL_TRUNCATED,
    WAL_SWAPPED,
    WAL_OTHER_TIMELINE,
    BASE_TRUNCATED,
    BASE_EXPIRED,
    CLASH_COMPLETED,
    STORE_DOWN_BEFORE,
    STORE_DOWN_DURING,
    CREDENTIALS_WRONG,
    VOLUME_FULL,
    ROWS_CHANGED,
    NO_FINGERPRINT,
    CANCELLED,
    CANCELLED_READING,
    KILLED_RECOVERING,
    KILLED_READING,
    KILLED_RELEASING,
    KILLED_AND_SWEPT,
    OPERATOR_BEFORE,
    OPERATOR_ASKED,
    OPERATOR_RECOVERING,
    OPERATOR_STARTING,
    OPERATOR_READING,
    API_RECOVERING,
    API_READING,
    TWO_AT_ONCE,
    SWITCHOVER_BEFORE,
    SWITCHOVER_AFTER,
    PLAN_MOVED_ON,
    PLAN_BACKUP_GONE,
)
