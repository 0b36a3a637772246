"""Every row there is, by the part of the table it stands in."""

from gsv_ops_tests.cluster.fault_table import backups, proofs, the_sandbox, workloads

PARTS = {
    "backup_database": backups.ROWS,
    "prove_backup": proofs.ROWS,
    "Workloads": workloads.ROWS,
    "The sandbox": the_sandbox.ROWS,
}
