"""Everything gsv_ops shows in Dagster: the rooms' definitions, merged. Loading it opens no connection and reads no kubeconfig."""

import dagster as dg

from gsv_ops.cleanup.definitions import definitions as cleanup
from gsv_ops.database.definitions import definitions as database
from gsv_ops.housekeeping.definitions import definitions as housekeeping
from gsv_ops.kube.lazy import LazyKube
from gsv_ops.maintenance.definitions import definitions as maintenance
from gsv_ops.operations.desk import DeskFactory
from gsv_ops.operations.store import PlanStore

_desk = DeskFactory(LazyKube())

defs = dg.Definitions.merge(
    cleanup(),
    database(),
    housekeeping(),
    maintenance(),
    dg.Definitions(
        resources={"desk": _desk, "plan_store": PlanStore(_desk)},
        # One process a run: a step is a few API calls, and a killed run is killed whole.
        executor=dg.in_process_executor,
    ),
)
