"""The rows about backup_database."""

from gsv_ops_tests.cluster.fault_table.row import Fault

STORE = "10.88.0.1:9300"

OLD_TRANSACTION = Fault(
    "an old transaction is open in another database, so no fingerprint can be taken",
    "good",
    within=75,
    says=("inconclusive: ", "user postgres, database postgres, application forgotten, idle in transaction"),
    left=("Backup",),
)
WAL_NOT_TAKEN = Fault(
    "the store takes the base backup and no WAL: the operator says completed",
    "stopped",
    within=75,
    says=("the WAL to the end of Backup ", "is not in the object store after ", "its newest attempt failed"),
    left=("Backup",),
    quick=True,
)
STORE_DOWN_BEFORE = Fault(
    "the object store is down before the backup begins",
    "stopped",
    within=150,
    says=(STORE,),
    left=("Backup",),
)
CLASH_SEEN = Fault(
    "a cluster was made anew over an archive that is not empty; the operator says healthy, and that archiving fails",
    "refused",
    within=45,
    says=("WAL archiving is failing, so a backup taken now could not be restored",),
)
KILLED_BEFORE = Fault(
    "the worker is killed before it made anything; then the run is re-executed from its failure",
    "killed",
    within=90,
)
KILLED_MADE = Fault(
    "the worker is killed right after it made its Backup; then the run is re-executed from its failure, and adopts it",
    "killed",
    within=90,
    left=("Backup",),
)
KILLED_COMPLETED = Fault(
    "the worker is killed when its Backup is completed; then the run is re-executed from its failure, and adopts it",
    "killed",
    within=90,
    left=("Backup",),
)
TWO_AT_ONCE = Fault(
    "two backups are launched at the same time by one plan: they are taken one after the other",
    "good",
    within=180,
    left=("Backup",),
)

STORE_DOWN_DURING = Fault(
    "the object store goes down while the base backup is copied",
    "stopped",
    within=150,
    says=(STORE,),
    left=("Backup",),
)
STORE_DOWN_AFTER = Fault(
    "the object store goes down when the backup is completed, and is back before the time for its WAL is over",
    "good",
    within=120,
    left=("Backup",),
)
CREDENTIALS_WRONG = Fault(
    "the Secret of the object store holds a key that the store does not know",
    "stopped",
    within=150,
    says=("SignatureDoesNotMatch",),
    left=("Backup",),
)
OPERATOR_BEFORE = Fault(
    "the operator's pod is deleted right before the Backup is asked for, so its webhook is away",
    "good",
    within=150,
    left=("Backup",),
)
OPERATOR_ASKED = Fault(
    "the operator's pod is deleted as soon as the Backup is there",
    "good",
    within=150,
    left=("Backup",),
)
OPERATOR_COPYING = Fault(
    "the operator's pod is deleted while the base backup is copied",
    "good",
    within=150,
    left=("Backup",),
)
OPERATOR_COMPLETED = Fault(
    "the operator's pod is deleted when the backup is completed",
    "good",
    within=150,
    left=("Backup",),
)
API_COPYING = Fault(
    "the API server is restarted in the moment in which the base backup begins: the operator says started for ever",
    "stopped",
    within=180,
    says=("is started and will never end: ", "Every later Backup of the cluster waits behind it until it is deleted."),
    left=("Backup",),
)
API_COMPLETED = Fault(
    "the API server is restarted when the backup is completed, and rows are about to be read through it",
    "good",
    within=150,
    left=("Backup",),
)
PRIMARY_KILLED = Fault(
    "the primary's pod is killed while the base backup is copied",
    "stopped",
    within=180,
    says=("is not in the object store after ", "A failover began timeline "),
    left=("Backup",),
)

ROWS = (
    OLD_TRANSACTION,
    WAL_NOT_TAKEN,
    STORE_DOWN_BEFORE,
    STORE_DOWN_DURING,
    STORE_DOWN_AFTER,
    CREDENTIALS_WRONG,
    CLASH_SEEN,
    KILLED_BEFORE,
    KILLED_MADE,
    KILLED_COMPLETED,
    OPERATOR_BEFORE,
    OPERATOR_ASKED,
    OPERATOR_COPYING,
    OPERATOR_COMPLETED,
    API_COPYING,
    API_COMPLETED,
    PRIMARY_KILLED,
    TWO_AT_ONCE,
)
