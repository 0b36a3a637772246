"""The rows about workloads: a change with which their pods do not get ready."""

from gsv_ops_tests.cluster.fault_table.row import Fault

PUT_BACK = "It was rolled back: it is as it was before this run, and all its pods are ready."

STARVED = Fault(
    "set_resources on a Deployment whose new pods end at once: ended at the deadline and rolled back; its callers notice nothing",
    "stopped",
    within=90,
    says=("its rollout was not complete within 15 s", "web said last: cannot bear 60m of cpu", "ended with 1 (Error)", PUT_BACK),
    quick=True,
)
STATEFUL = Fault(
    "set_resources on a StatefulSet whose new pod ends at once, which its controller would wait for for ever: rolled back",
    "stopped",
    within=120,
    says=("cannot bear 60m of cpu", PUT_BACK),
)

ROWS = (STARVED, STATEFUL)
