"""The assets of each database: its backup, and the proof of it downstream. Each has jobs of its own, and none can be another database's."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import dagster as dg

from gsv_ops.database.backup import verify as backup_verify
from gsv_ops.database.backup.operation import BACKUP_DATABASE
from gsv_ops.database.connection_report import connection_report
from gsv_ops.database.names import DATABASE_TAG, named
from gsv_ops.database.proof import verify as proof_verify
from gsv_ops.database.proof.operation import PROVE_BACKUP
from gsv_ops.operations.jobs import AnyOperation, OperationAsset, operation_asset
from gsv_ops.operations.report_jobs import ReportJob, report_job

GROUP = "database"

_BACKUP_CHECKS = {
    backup_verify.SIZE_CHECK: "The base backup in the object store is above the floor and not much smaller than the one before.",
    backup_verify.WAL_CHECK: "Every WAL segment that a restore to the fingerprint's position reads is in the object store.",
    backup_verify.FINGERPRINT_CHECK: "Every row was read at one WAL position after the backup, so that a restore can be compared.",
}
_PROOF_CHECKS = {
    proof_verify.LEFT_CHECK: "The scratch cluster and its volumes are gone.",
}


@dataclass(frozen=True)
class DatabaseAssets:
    """What one database of platform.yaml is in Dagster."""

    name: str
    backup: OperationAsset
    proof: OperationAsset

    @property
    def backup_key(self) -> dg.AssetKey:
        """database/NAME/backup."""
        return backup_key(self.name)

    @property
    def proof_key(self) -> dg.AssetKey:
        """database/NAME/proof."""
        return proof_key(self.name)


def backup_key(database: str) -> dg.AssetKey:
    """The asset that stands for that database's newest backup."""
    return dg.AssetKey(["database", database, "backup"])


def proof_key(database: str) -> dg.AssetKey:
    """The asset that stands for that database's newest proof."""
    return dg.AssetKey(["database", database, "proof"])


def replication_key(database: str) -> dg.AssetKey:
    """The asset that stands for who follows whom in that database's cluster."""
    return dg.AssetKey(["database", database, "replication"])


def connections_key(database: str) -> dg.AssetKey:
    """The asset that stands for that database's sessions, and what vacuum waits for."""
    return dg.AssetKey(["database", database, "connections"])


def observed_of(database: str) -> list[dg.AssetSpec]:
    """The assets of that database that are looked at and never made."""
    said = {
        replication_key: f"Who follows whom in the cluster of {database}, how far behind, what slots keep, and how large it is.",
        connections_key: f"Who is connected to {database}, the oldest transaction, ids used, and dead rows.",
    }
    return [
        dg.AssetSpec(key(database), group_name=GROUP, kinds={"postgresql"}, owners=["team:platform"], description=text)
        for key, text in said.items()
    ]


@cache
def connecting_to(database: str) -> ReportJob:
    """How to connect to that database, as its job `connection_info` saw it last; made once."""
    return report_job(
        connection_report(database),
        dg.AssetKey(["database", database, "connection_info"]),
        group=GROUP,
        kinds={"postgresql"},
        description=f"How to connect to {database}, as its job `connection_info` saw it last. No value of a Secret stands here.",
    )


@cache
def assets_of(database: str) -> DatabaseAssets:
    """The assets of that database, made once."""
    backup, proof = backup_key(database), proof_key(database)
    return DatabaseAssets(
        database,
        _asset(
            # one database's backup does not wait for another's
            replace(BACKUP_DATABASE, pool=named("database_backup", database)),
            backup,
            database,
            checks=_specs(backup, _BACKUP_CHECKS),
            description=f"The newest completed backup of {database} whose WAL is in the object store.",
        ),
        _asset(
            PROVE_BACKUP,
            proof,
            database,
            deps=[backup],
            checks=_specs(proof, _PROOF_CHECKS),
            description=f"The proof of a backup of {database}: restored into a scratch cluster and compared with its source, row for row.",
        ),
    )


def _asset(operation: AnyOperation, key: dg.AssetKey, database: str, **parts: Any) -> OperationAsset:
    return operation_asset(
        replace(operation, tags={**operation.tags, DATABASE_TAG: database}),
        key,
        name=named(operation.name, database),
        fixed={"database": database},
        group=GROUP,
        kinds={"postgresql", "kubernetes"},
        **parts,
    )


def _specs(key: dg.AssetKey, said: dict[str, str]) -> list[dg.AssetCheckSpec]:
    return [dg.AssetCheckSpec(name, asset=key, description=text) for name, text in said.items()]
