"""How much one cleanup may take."""

import pytest

from gsv_ops.cleanup.pruning import Decision, decided
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import CleanupLimits
from gsv_ops_tests.unit.cleanup.bodies import frame, replica_set


def made(going: int, kept: int, **limits: int) -> Plan:
    decisions = [Decision(replica_set(n), "" if n < going else "it stays") for n in range(going + kept)]
    return decided(frame("prune_replicasets"), CleanupLimits(**limits), decisions, ())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("going", "kept", "limits", "said"),
    [
        (5, 0, {"most_objects": 5}, ""),
        (6, 0, {"most_objects": 5}, "6 objects, more than cleanup.most_objects (5)"),
        (18, 2, {"most_percent": 90}, ""),
        (19, 1, {"most_percent": 90}, "19 of the 20 objects it saw, more than cleanup.most_percent (90)"),
        (19, 0, {"most_percent": 90}, ""),
        (5, 0, {"most_percent": 50, "percent_from": 5}, "5 of the 5 objects"),
        (0, 0, {"most_percent": 0, "percent_from": 1}, ""),
        (1, 99, {"most_percent": 0}, "1 of the 100 objects"),
    ],
)
def test_a_plan_beyond_the_limits_is_refused_whole(going: int, kept: int, limits: dict[str, int], said: str) -> None:
    plan = made(going, kept, **limits)
    assert len(plan.refused) == (1 if said else 0)
    assert said in "".join(refused.reason for refused in plan.refused)
    assert (len(plan.actions), len(plan.kept), plan.seen) == (going, kept, going + kept)
