"""How many pods a rollout leaves, by the rounding of the controllers themselves."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.maintenance.availability import below_budgets, needs, of_workload, pace, selector_text
from gsv_ops_tests.unit.maintenance.bodies import budget, workload


def rolling(surge: Any, away: Any) -> dict[str, Any]:
    return {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": away}}}


@pytest.mark.parametrize(
    ("kind", "replicas", "spec", "surge", "lowest"),
    [
        # 25 % of 2: a surge is rounded up, what may be away down
        ("Deployment", 2, {}, 1, 2),
        ("Deployment", 1, {}, 1, 1),
        ("Deployment", 10, {}, 3, 8),
        ("Deployment", 2, rolling(0, "100%"), 0, 0),
        ("Deployment", 3, rolling(0, 0), 0, 2),
        ("Deployment", 1, rolling(0, "10%"), 0, 0),
        ("Deployment", 4, {"strategy": {"type": "Recreate"}}, 0, 0),
        ("StatefulSet", 3, {}, 0, 2),
        ("StatefulSet", 1, {}, 0, 0),
        ("StatefulSet", 4, {"updateStrategy": {"rollingUpdate": {"maxUnavailable": "50%"}}}, 0, 2),
        ("DaemonSet", 3, {}, 0, 2),
        ("DaemonSet", 3, {"updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}, 1, 3),
    ],
)
def test_the_strategy_says_how_many_are_left(kind: str, replicas: int, spec: dict[str, Any], surge: int, lowest: int) -> None:
    found = pace(workload(kind, replicas, spec=spec))
    assert (found.surge, found.lowest) == (surge, lowest)


@given(replicas=st.integers(0, 50), surge=st.integers(0, 100), away=st.integers(0, 100), percent=st.booleans())
def test_a_rollout_always_moves_and_never_takes_more_than_there_is(replicas: int, surge: int, away: int, percent: bool) -> None:
    found = pace(workload(replicas=replicas, spec=rolling(f"{surge}%" if percent else surge, f"{away}%" if percent else away)))
    assert 0 <= found.lowest <= replicas
    assert replicas == 0 or found.surge > 0 or found.lowest < replicas, "one of both has to give"


@pytest.mark.parametrize(
    ("spec", "count", "needed"),
    [
        ({"minAvailable": 1}, 3, 1),
        ({"minAvailable": "50%"}, 3, 2),
        ({"maxUnavailable": 1}, 3, 2),
        ({"maxUnavailable": "50%"}, 3, 1),
        ({}, 3, 3),
    ],
)
def test_a_budget_asks_for_so_many(spec: dict[str, Any], count: int, needed: int) -> None:
    assert needs(budget(**spec), count) == needed


def test_only_the_budgets_of_its_pods_count() -> None:
    other = budget(minAvailable=5, selector={"matchLabels": {"app": "other"}})
    rule = budget(minAvailable=2, selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["web"]}]})
    none = {**budget(minAvailable=9), "spec": {"minAvailable": 9}}
    assert of_workload([other, rule, none], workload()) == [rule]
    assert below_budgets([other, rule], workload(), 1, 2) == ["PodDisruptionBudget pdb asks for 2 available pods of 2, and 1 would be left"]
    assert below_budgets([other, rule], workload(), 2, 2) == []


def test_a_selector_is_written_as_a_list_takes_it() -> None:
    rules = [{"key": "a", "operator": "In", "values": ["x", "y"]}, {"key": "b", "operator": "NotIn", "values": ["z"]}]
    rules += [{"key": "c", "operator": "Exists"}, {"key": "d", "operator": "DoesNotExist"}]
    assert selector_text({"matchLabels": {"m": "1"}, "matchExpressions": rules}) == "m=1,a in (x, y),b notin (z),c,!d"
