"""The four lines with which every failed run ends, as text."""

from dataclasses import replace

import pytest

from gsv_ops.operations.ending import four_lines
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import OperationFailed
from gsv_ops.operations.plan import RUN_NAME, Action, Plan, Target
from gsv_ops.operations.records import Records

RUN = "4f0c1a2b-3d4e-4f5a-8b6c-7d8e9f0a1b2c"
POLICY = Target("networking.k8s.io/v1", "NetworkPolicy", f"proof-{RUN_NAME}", "cmp")
CLUSTER = Target("postgresql.cnpg.io/v1", "Cluster", f"proof-{RUN_NAME}", "cmp")
PLAN = Plan("prove", "dev", "c-1", {}, (Action("create", POLICY, "first"), Action("create", CLUSTER, "then")))
AGAIN = "yes; nothing was deleted."
PROBLEM = OperationFailed("no room")


@pytest.fixture
def journal(records: Records) -> Journal:
    return Journal.open(records, "prove", RUN)


def ending(journal: Journal | None, plan: Plan | None = PLAN, problem: BaseException = PROBLEM) -> list[str]:
    return four_lines(plan, journal, problem, AGAIN).split("\n")


def test_before_there_was_a_plan() -> None:
    assert ending(None, None) == [
        "Changed: nothing.",
        "Not changed: everything.",
        "Run it again: yes; nothing was deleted.",
        "Next: read the cause above, mend it, and launch the same run again.",
    ]


def test_before_anything_was_done(journal: Journal) -> None:
    assert ending(journal) == [
        "Changed: nothing.",
        "Not changed: create NetworkPolicy cmp/proof-4f0c1a2b, create Cluster cmp/proof-4f0c1a2b.",
        "Run it again: yes; nothing was deleted.",
        "Next: read the cause above, mend it, and launch the same run again.",
    ]


def test_halfway_and_with_a_command_to_run_next(journal: Journal) -> None:
    journal.outcome("create", POLICY.for_run(RUN), "done")
    journal.outcome("create", CLUSTER.for_run(RUN), "failed", "the name belongs to another object")
    assert ending(journal, problem=OperationFailed("taken", "kubectl get cluster proof-4f0c1a2b -n cmp")) == [
        "Changed: create NetworkPolicy cmp/proof-4f0c1a2b.",
        "Not changed: create Cluster cmp/proof-4f0c1a2b.",
        "Run it again: yes; nothing was deleted.",
        "Next: kubectl get cluster proof-4f0c1a2b -n cmp",
    ]


def test_all_done_and_something_else_failed(journal: Journal) -> None:
    journal.outcome("create", POLICY.for_run(RUN), "done")
    journal.outcome("create", CLUSTER.for_run(RUN), "done")
    journal.outcome("create", CLUSTER.for_run(RUN), "done")
    lines = ending(journal)
    assert lines[0] == "Changed: create NetworkPolicy cmp/proof-4f0c1a2b, create Cluster cmp/proof-4f0c1a2b."
    assert lines[1] == "Not changed: everything else."


def test_what_was_taken_down_again_is_not_told_as_changed(journal: Journal) -> None:
    journal.made(POLICY.for_run(RUN), "u-1")
    journal.outcome("create", POLICY.for_run(RUN), "done")
    journal.outcome("patch", Target("v1", "ConfigMap", "other", "cmp"), "done")
    assert ending(journal)[0] == "Changed: create NetworkPolicy cmp/proof-4f0c1a2b, patch ConfigMap cmp/other."
    journal.release()
    assert ending(journal)[0] == "Changed: patch ConfigMap cmp/other; made and taken down again: NetworkPolicy cmp/proof-4f0c1a2b."


def test_what_got_no_answer_is_told_as_neither(journal: Journal) -> None:
    journal.outcome("create", POLICY.for_run(RUN), "done")
    journal.outcome("create", CLUSTER.for_run(RUN), "unknown", "the API server gave no answer to it")
    assert ending(journal)[:2] == [
        "Changed: create NetworkPolicy cmp/proof-4f0c1a2b; perhaps, no answer came: create Cluster cmp/proof-4f0c1a2b.",
        "Not changed: everything else.",
    ]
    journal.outcome("create", CLUSTER.for_run(RUN), "already", "this run had made it before")
    assert ending(journal)[0] == "Changed: create NetworkPolicy cmp/proof-4f0c1a2b."


def test_what_was_so_before_is_neither_changed_nor_left(journal: Journal) -> None:
    journal.outcome("create", POLICY.for_run(RUN), "already", "this run had made it before")
    assert ending(journal)[:2] == ["Changed: nothing.", "Not changed: create Cluster cmp/proof-4f0c1a2b."]


def test_many_are_counted(journal: Journal) -> None:
    pods = [Target("v1", "ConfigMap", f"c-{i}", "cmp", f"u-{i}") for i in range(9)]
    plan = replace(PLAN, actions=tuple(Action("delete", pod, "old") for pod in pods))
    for pod in pods[:7]:
        journal.outcome("delete", pod, "done")
    assert ending(journal, plan)[:2] == [
        "Changed: delete ConfigMap cmp/c-0, delete ConfigMap cmp/c-1, delete ConfigMap cmp/c-2, delete ConfigMap cmp/c-3, "
        "delete ConfigMap cmp/c-4 and 2 more.",
        "Not changed: delete ConfigMap cmp/c-7, delete ConfigMap cmp/c-8.",
    ]


def test_a_command_is_taken_from_our_own_failures_only(journal: Journal) -> None:
    class Sneaky(Exception):
        next_command = "rm -rf /"

    assert ending(journal, problem=Sneaky())[3] == "Next: read the cause above, mend it, and launch the same run again."


def test_what_stays_by_design_is_not_said_to_be_taken_down(journal: Journal) -> None:
    journal.made(POLICY.for_run(RUN), "u-1")
    journal.outcome("create", POLICY.for_run(RUN), "done")
    journal.keep()
    assert ending(Journal.open(journal.records, "prove", RUN))[0] == "Changed: create NetworkPolicy cmp/proof-4f0c1a2b."
    assert not Journal.unreleased(journal.records, "prove")
