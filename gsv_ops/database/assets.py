"""The database's assets: its backup, and the proof of it downstream."""

import dagster as dg

from gsv_ops.database.backup import verify as backup_verify
from gsv_ops.database.backup.operation import BACKUP_DATABASE
from gsv_ops.database.proof import verify as proof_verify
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.operations.jobs import operation_asset

GROUP = "database"
DATABASE = "cmp_postgres"
BACKUP_KEY = dg.AssetKey(["database", DATABASE, "backup"])
PROOF_KEY = dg.AssetKey(["database", DATABASE, "proof"])

_BACKUP_CHECKS = {
    backup_verify.SIZE_CHECK: "The base backup in the object store is above the floor and not much smaller than the one before.",
    backup_verify.WAL_CHECK: "Every WAL segment that a restore to the fingerprint's position reads is in the object store.",
    backup_verify.FINGERPRINT_CHECK: "Every row was read at one WAL position after the backup, so that a restore can be compared.",
}
_PROOF_CHECKS = {
    proof_verify.ROWS_CHECK: "A restore of the backup to its fingerprint's position gave back the same rows.",
    proof_verify.LEFT_CHECK: "The scratch cluster and its volumes are gone.",
}

BACKUP = operation_asset(
    BACKUP_DATABASE,
    BACKUP_KEY,
    checks=[dg.AssetCheckSpec(name, asset=BACKUP_KEY, description=said) for name, said in _BACKUP_CHECKS.items()],
    group=GROUP,
    kinds={"postgresql", "kubernetes"},
    description="The newest completed backup of cmp-postgres whose WAL is in the object store.",
)

PROOF = operation_asset(
    PROVE_BACKUP,
    PROOF_KEY,
    deps=[BACKUP_KEY],
    checks=[dg.AssetCheckSpec(name, asset=PROOF_KEY, description=said) for name, said in _PROOF_CHECKS.items()],
    group=GROUP,
    kinds={"postgresql", "kubernetes"},
    description="The proof of a backup: restored into a scratch cluster and compared with its source, row for row.",
)
