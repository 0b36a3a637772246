"""A frozen desk: what is refused, what it says, what goes on."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gsv_ops.kube.protocol import Object
from gsv_ops.operations import freeze, steps
from gsv_ops.operations.freeze import Freeze
from gsv_ops_tests.unit.operations import toy
from gsv_ops_tests.unit.operations.conftest import Toys
from gsv_ops_tests.unit.operations.toy import WORLD


def frozen(minutes: int = 30, allow: frozenset[str] = frozenset()) -> Object:
    now = datetime.now(UTC)
    return dict(freeze.manifest("cmp", Freeze("ada", "storage is moved", now, now + timedelta(minutes=minutes), allow)))


def test_a_run_is_refused_before_its_first_write_and_says_who_why_until_when_and_what_ends_it(toys: Toys) -> None:
    WORLD.freeze = frozen()
    ran = toys.run(toy.make_thing, mode="apply")
    assert (ran.success, ran.failed_step, WORLD.executed) == (False, "plan", 0)
    assert "make_thing was refused: the desk is frozen by ada since " in ran.failure
    assert f"{datetime.now(UTC) + timedelta(minutes=30):until %Y-%m-%d %H}" in ran.failure
    assert ": storage is moved. To end it, launch unfreeze_desk; to let make_thing through, launch freeze_desk again" in ran.failure
    assert "Changed: nothing." in ran.failure
    assert "kubectl get lease gsv-ops-freeze" in ran.failure
    run = toys.instance.get_run_by_id(ran.run_id)
    assert run is not None
    assert run.tags["gsv/refused"] == "frozen"


def test_a_freeze_that_comes_between_the_plan_and_the_change_stops_the_change(toys: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    def plan_then_freeze(*arguments: Any) -> Any:
        plan = make_plan(*arguments)
        WORLD.freeze = frozen()
        return plan

    make_plan = steps.make_plan
    monkeypatch.setattr(steps, "make_plan", plan_then_freeze)
    ran = toys.run(toy.make_thing, mode="apply")
    assert (ran.success, ran.failed_step, WORLD.executed) == (False, "apply", 0)


def test_a_plan_is_made_all_the_same_and_shows_the_freeze_first(toys: Toys) -> None:
    WORLD.freeze = frozen()
    ran = toys.run(toy.make_thing, mode="plan")
    shown = ran.metadata("plan")
    assert ran.success
    assert next(iter(shown)) == "frozen"
    assert shown["frozen"].startswith("the desk is frozen by ada")


@pytest.mark.parametrize("what", [frozen(allow=frozenset({"make_thing"})), frozen(minutes=-1), None], ids=["let through", "over", "none"])
def test_what_is_let_through_by_name_or_time_is_done(what: Object | None, toys: Toys) -> None:
    WORLD.freeze = what
    assert toys.run(toy.make_thing, mode="apply").success
    assert WORLD.executed == 1


def test_a_freeze_that_cannot_be_read_stops_everything(toys: Toys) -> None:
    broken = frozen()
    broken["metadata"]["annotations"][freeze.UNTIL] = "next tuesday"
    WORLD.freeze = broken
    ran = toys.run(toy.make_thing, mode="apply")
    assert WORLD.executed == 0
    assert "for ever: its gsv-ops/until cannot be read" in ran.failure


def test_work_that_has_begun_goes_on_and_its_results_are_judged(toys: Toys) -> None:
    def freeze_now(desk: Any, journal: Any) -> None:
        WORLD.freeze = frozen()

    WORLD.on_execute = freeze_now
    assert toys.run(toy.make_thing, mode="apply").success
    assert WORLD.released


def test_a_naive_end_is_none() -> None:
    body = frozen()
    body["metadata"]["annotations"][freeze.UNTIL] = "2020-01-01T00:00:00"
    assert freeze.of(body).holds("make_thing", datetime.now(UTC))
    assert not freeze.of(body).holds("unfreeze_desk", datetime.now(UTC))
