"""Every row there is, by the part of the table it stands in."""

from gsv_ops_tests.cluster.fault_table import backups, proofs, restores, the_sandbox, workloads

PARTS = {
    "backup_database": backups.ROWS,
    "prove_backup": proofs.ROWS,
    "restore_database, prove_point_in_time": restores.ROWS,
    "Workloads": workloads.ROWS,
    "The sandbox": the_sandbox.ROWS,
}
