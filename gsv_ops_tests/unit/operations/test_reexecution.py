"""A run that is executed again goes on with its own work: it finds its plan, what it made and what it found out."""

import json
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed, Verdict
from gsv_ops.operations.plan import Target
from gsv_ops.operations.records import Records
from gsv_ops_tests.unit.operations import toy
from gsv_ops_tests.unit.operations.conftest import Toys
from gsv_ops_tests.unit.operations.toy import WORLD


def failure(result: dg.JobExecutionResult) -> str:
    [data] = [e.step_failure_data for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def first(toys: Toys, config: dict[str, Any]) -> str:
    with dg.execute_job(dg.reconstructable(toy.make_thing), instance=toys.instance, run_config=config) as result:
        assert not result.success
        return result.run_id


def again(toys: Toys, run_id: str, *, everything: bool = False) -> tuple[str, bool, str]:
    """(run id, success, message of the failed step) of the run executed again, from its failure or from its beginning."""
    options = dg.ReexecutionOptions(run_id) if everything else dg.ReexecutionOptions.from_failure(run_id, toys.instance)
    with dg.execute_job(dg.reconstructable(toy.make_thing), instance=toys.instance, reexecution_options=options) as result:
        return result.run_id, result.success, "" if result.success else failure(result)


def no_room(desk: Desk, journal: Journal) -> None:
    raise OperationFailed("no room")


def test_what_was_done_is_not_done_anew(toys: Toys) -> None:
    WORLD.verdict = Verdict("inconclusive", "the API server did not answer")
    run_id = first(toys, {"mode": "apply"})
    WORLD.verdict = Verdict("good", "it is there")
    _, success, _ = again(toys, run_id)
    assert success
    assert WORLD.executed == 1
    assert WORLD.released == [run_id]


def test_a_run_that_is_executed_again_whole_does_new_work_under_new_names(toys: Toys) -> None:
    """Otherwise a second click would show the first result once more, as if it were new."""
    WORLD.verdict = Verdict("inconclusive", "the API server did not answer")
    run_id = first(toys, {"mode": "apply"})
    WORLD.verdict = Verdict("good", "it is there")
    second, success, _ = again(toys, run_id, everything=True)
    assert success
    assert WORLD.executed == 2
    assert WORLD.released == [run_id, second]


def test_a_killed_run_that_is_executed_again_whole_takes_down_what_it_left(toys: Toys) -> None:
    """The journal of the killed run is of work that nothing goes on with."""
    WORLD.on_execute = no_room
    run_id = first(toys, {"mode": "apply"})
    journal = Journal.open(Records(UPath(toys.root)), "make_thing", run_id)
    journal.will_make(Target("v1", "ConfigMap", "left", "cmp"))
    WORLD.on_execute = lambda desk, journal: None
    WORLD.released.clear()
    second, success, _ = again(toys, run_id, everything=True)
    assert success
    assert WORLD.released == [run_id, second]


def test_a_run_goes_on_from_its_failure_with_its_own_names(toys: Toys) -> None:
    WORLD.on_execute = no_room
    run_id = first(toys, {"mode": "apply"})
    seen = list[str]()
    WORLD.on_execute = lambda desk, journal: seen.extend([desk.run_id, *map(str, journal.targets())])
    _, success, _ = again(toys, run_id)
    assert success
    assert seen == [run_id, f"ConfigMap cmp/thing-{run_id[:8]}"]
    assert WORLD.released == [run_id, run_id]
    assert {json.loads(path.read_text())["root_run_id"] for path in toys.root.glob("evidence/*/*.json")} == {run_id}


def test_a_run_that_had_not_begun_plans_anew_when_it_applies_a_plan(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    with dg.execute_job(dg.reconstructable(toy.make_thing), instance=toys.instance, run_config={"mode": "plan"}) as planned:
        plan_id = next(e for e in planned.all_events if e.event_type_value == "STEP_OUTPUT").event_specific_data.metadata["plan"].value
    # the other cluster answers in the moment of the apply
    looks = iter([toy.HERE] * 2 + ["another"] * 9)
    monkeypatch.setattr(WORLD.__class__, "identity", property(lambda _: next(looks), lambda *_: None))
    run_id = first(toys, {"mode": "apply", "plan_id": plan_id})
    monkeypatch.setattr(WORLD.__class__, "identity", toy.HERE)
    WORLD.__dict__["identity"] = toy.HERE
    WORLD.colour = "blue"
    _, success, told = again(toys, run_id)
    assert not success
    assert f"the cluster has moved on since plan {plan_id} was made" in told
    assert WORLD.executed == 0


def test_a_plan_of_another_cluster_is_not_carried_out_here(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    WORLD.on_execute = no_room
    run_id = first(toys, {"mode": "apply"})
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-new-cluster")
    toy.begin(UPath(toys.root))
    WORLD.identity = "the-new-cluster"
    _, success, told = again(toys, run_id)
    assert not success
    assert told.startswith(
        f"this plan was made for environment 'sandbox', cluster {toy.HERE}, and this is 'sandbox', cluster the-new-cluster; nothing was"
    )
    assert WORLD.executed == 0


def test_what_was_done_on_another_cluster_is_not_judged_here(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict would be of this cluster, and count for it."""
    WORLD.verdict = Verdict("inconclusive", "the API server did not answer")
    run_id = first(toys, {"mode": "apply"})
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "the-new-cluster")
    toy.begin(UPath(toys.root))
    WORLD.identity = "the-new-cluster"
    WORLD.verdict = Verdict("good", "it is there")
    _, success, told = again(toys, run_id)
    assert not success
    assert told.startswith(f"this plan was made for environment 'sandbox', cluster {toy.HERE}, and this is 'sandbox'")


@pytest.mark.parametrize("damage", ["gone", "changed"])
def test_a_plan_that_is_gone_or_changed_since_is_not_carried_out(toys: Toys, damage: str) -> None:
    WORLD.on_execute = no_room
    run_id = first(toys, {"mode": "apply"})
    [plan] = Path(toys.root, "steps", run_id, "plan").glob("*.json")
    if damage == "gone":
        plan.unlink()
    else:
        plan.write_text(json.dumps(json.loads(plan.read_text()) | {"facts": {"colour": "blue"}}))
    WORLD.on_execute = lambda desk, journal: None
    _, success, told = again(toys, run_id)
    assert not success
    expected = "of an earlier step is gone; launch the job anew" if damage == "gone" else "it was changed after it was made"
    assert expected in told
    assert WORLD.executed == 1
