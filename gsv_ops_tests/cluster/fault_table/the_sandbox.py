"""The rows about the sandbox itself: what is killed under it, and what its own commands make of that."""

from gsv_ops_tests.cluster.fault_table.row import Fault
from gsv_ops_tests.cluster.sandbox_state import COMPONENTS

MEND_SECONDS = 90
WARM_SECONDS = 120 + 30  # a healthy cmp-postgres within two minutes, and its dataset
EVERY = "every component"

KILLED = {
    (name,): Fault(f"{name} is killed: `up` starts it anew and nothing else", "mended", within=MEND_SECONDS, ends_the_sandbox=True)
    for name in COMPONENTS
} | {COMPONENTS: Fault(f"{EVERY} is killed: `up` starts them anew", "mended", within=MEND_SECONDS, ends_the_sandbox=True)}
DOWN = {
    killed: Fault(
        f"{' and '.join(killed) if killed not in ((), COMPONENTS) else EVERY if killed else 'nothing'} is killed, then `down`: "
        "the machine is as it was before `up`",
        "mended",
        within=WARM_SECONDS,
        ends_the_sandbox=True,
    )
    for killed in ((), ("containerd", "kubelet"), COMPONENTS)
}
KILLED_UP = {
    seconds: Fault(
        f"`up` is killed after {seconds:g} s: `down` leaves nothing, and the next `up` ends well",
        "mended",
        within=420,
        ends_the_sandbox=True,
    )
    for seconds in (1.5, 8.0, 30.0)
}

ROWS = (*KILLED.values(), *DOWN.values(), *KILLED_UP.values())
