"""How to look at what a run did without the desk: lines that name what was made, changed and deleted, and never too much."""

import pytest

from gsv_ops.operations.looking import at_targets
from gsv_ops.operations.plan import Action, Kept, Plan, Target

BACKUP = Target("postgresql.cnpg.io/v1", "Backup", "db-{run}", "cmp")


def pods(count: int) -> list[Target]:
    return [Target("v1", "Pod", f"p-{n}", "cmp", f"u-{n}") for n in range(count)]


def plan(*actions: Action, kept: tuple[Kept, ...] = ()) -> Plan:
    return Plan("an_operation", "dev", "c-1", {}, actions=actions, kept=kept)


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        (plan(Action("create", BACKUP, "r")), ["kubectl describe backups.postgresql.cnpg.io -n cmp db-12345678"]),
        (plan(*(Action("delete", pod, "r") for pod in pods(2))), ["kubectl get pods -n cmp p-0 p-1 --ignore-not-found"]),
        (plan(*(Action("delete", pod, "r") for pod in pods(6))), ["kubectl get pods -n cmp --ignore-not-found"]),
        (plan(*(Action("patch", pod, "r") for pod in pods(6))), ["kubectl get pods -n cmp"]),
        (plan(Action("patch", Target("v1", "Node", "n-1"), "r")), ["kubectl describe nodes n-1"]),
        (plan(kept=(Kept(pods(1)[0], "r"),)), ["kubectl describe pods -n cmp p-0"]),
        (plan(Action("delete", Target("gsv-ops", "Record", "x"), "r")), []),
    ],
)
def test_lines(made: Plan, lines: list[str]) -> None:
    assert at_targets(made, "12345678-aaaa", {}) == lines
