"""What the database room brings to Dagster: the same for each database of platform.yaml."""

import dagster as dg

from gsv_ops.database.assets import assets_of, connecting_to, observed_of
from gsv_ops.database.checks import check_job, conditions_of, servers_of
from gsv_ops.database.jobs import PROMOTE, PROVE_MOMENT, RESTORE, SWEEP
from gsv_ops.database.schedules import schedules
from gsv_ops.database.sensors import sensors
from gsv_ops.platform import environments


def definitions() -> dg.Definitions:
    """The room's assets, jobs and schedules; resources come from gsv_ops/definitions.py."""
    databases = sorted(environments.binding().spec.databases)
    return dg.Definitions.merge(dg.Definitions(jobs=[PROMOTE, PROVE_MOMENT, RESTORE, SWEEP]), *(of(name) for name in databases))


def of(database: str) -> dg.Definitions:
    """What one database brings."""
    assets = assets_of(database)
    judged = conditions_of(assets)
    of_servers, connecting = servers_of(database), connecting_to(database)
    check = check_job(database, judged, of_servers)
    return dg.Definitions(
        assets=[assets.backup.asset, assets.proof.asset, *observed_of(database), connecting.asset],
        asset_checks=[judged, of_servers, connecting.checks],
        jobs=[assets.backup.job, assets.backup.plan_job, assets.proof.job, assets.proof.plan_job, check, connecting.job],
        schedules=schedules(assets, check),
        sensors=sensors(assets, check),
    )
