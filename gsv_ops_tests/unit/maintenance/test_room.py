"""What pods ask for, and whether nodes and quotas have it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gsv_ops.maintenance import room
from gsv_ops.maintenance.requests import Demand, beyond_ranges, demand, shown
from gsv_ops_tests.unit.maintenance.bodies import container, limit_range, node, pod, quota


def asks(cpu: str = "", limit: str = "", **more: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": cpu} if cpu else {}, "limits": {"cpu": limit} if limit else {}}
    return {"name": "c", "resources": resources, **more}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [asks("1"), asks("500m")]}, "1.5"),
        # a limit alone is the request too
        ({"containers": [asks(limit="2")]}, "2"),
        # before its containers run, an init container needs its own; a sidecar runs beside them
        ({"initContainers": [asks("3")], "containers": [asks("1")]}, "3"),
        ({"initContainers": [asks("1", restartPolicy="Always"), asks("3")], "containers": [asks("1")]}, "4"),
        ({"initContainers": [asks("1", restartPolicy="Always")], "containers": [asks("1")]}, "2"),
        ({"containers": [asks("1")], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [asks("1")], "resources": {"requests": {"cpu": "5"}}}, "5"),
    ],
)
def test_a_pod_asks_for_what_the_scheduler_counts(spec: dict[str, Any], cpu: str) -> None:
    assert demand(spec).requests["cpu"] == Decimal(cpu)


def test_a_limit_range_fills_in_what_a_container_leaves_out() -> None:
    usual = limit_range(default={"cpu": "2", "memory": "1Gi"}, defaultRequest={"cpu": "200m"})
    found = demand({"containers": [{"name": "c"}]}, [usual])
    assert (found.requests["cpu"], found.requests["memory"], found.limits["cpu"]) == (Decimal("0.2"), 2**30, 2)
    assert found.missing == {"requests.ephemeral-storage", "limits.ephemeral-storage"}
    assert demand({"containers": [{"name": "c"}]}).best_effort


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"max": {"cpu": "50m"}}, "its limit of cpu is none, the LimitRange's most is 50m"),
        ({"min": {"cpu": "200m"}}, "its request of cpu is 100m, the LimitRange's least is 200m"),
        ({"min": {"cpu": "50m"}}, ""),
        ({"default": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "2"}}, "its limit of cpu is more than 2 times its request"),
    ],
)
def test_a_limit_range_that_would_refuse_the_pods_is_told(limits: dict[str, Any], told: str) -> None:
    found = beyond_ranges({"containers": [container()]}, [limit_range(**limits)])
    assert [told in line for line in found] == ([True] if told else [])


@pytest.mark.parametrize(
    ("spec", "body", "why"),
    [
        ({}, node(), ""),
        ({}, node(ready="Unknown"), "it is not ready"),
        ({}, node(spec={"unschedulable": True}), "it is cordoned"),
        ({"nodeSelector": {"disk": "ssd"}}, node(), "it has not the labels of nodeSelector"),
        ({"nodeSelector": {"disk": "ssd"}}, node(disk="ssd"), ""),
        ({}, node(spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}), "its taint k is not tolerated"),
        ({}, node(spec={"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}), ""),
        ({"tolerations": [{"key": "k", "operator": "Exists"}]}, node(spec={"taints": [{"key": "k", "effect": "NoExecute"}]}), ""),
        (
            {"tolerations": [{"key": "k", "value": "v"}]},
            node(spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}),
            "its taint k is not tolerated",
        ),
        ({"tolerations": [{"operator": "Exists"}]}, node(spec={"taints": [{"key": "k", "effect": "NoSchedule"}]}), ""),
    ],
)
def test_a_node_that_takes_no_such_pod_has_no_room_for_it(spec: dict[str, Any], body: dict[str, Any], why: str) -> None:
    assert room.unfit_for(spec, body) == why


@pytest.mark.parametrize(
    ("operator", "values", "fits"), [("In", ["a"], True), ("NotIn", ["a"], False), ("Exists", [], True), ("Gt", ["1"], False)]
)
def test_node_affinity_chooses(operator: str, values: list[str], fits: bool) -> None:
    term = {"matchExpressions": [{"key": "zone", "operator": operator, "values": values}]}
    spec = {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}}}
    assert (room.unfit_for(spec, node(zone="a")) == "") is fits


def test_room_is_what_nobody_asked_for() -> None:
    ended = {**pod("done", cpu="4"), "status": {"phase": "Succeeded"}}
    pods = [pod("a", cpu="1500m"), ended, pod("elsewhere", node="n9", cpu="9")]
    assert room.free([node(cpu="4")], pods)["n1"]["cpu"] == Decimal("2.5")
    assert room.free([node(cpu="4")], pods, {"u-a"})["n1"]["cpu"] == 4


def test_no_room_names_what_each_node_lacks() -> None:
    nodes = [node("n1", "1"), node("n2", "1", spec={"unschedulable": True})]
    said = room.no_room({}, 2, nodes, room.free(nodes, [pod(cpu="500m")]), Demand({"cpu": Decimal("0.4")}))
    assert said == "1 of 2 more pods have room on a node: n1: cpu 100m free, 400m needed; n2: it is cordoned"


@given(
    sizes=st.lists(st.integers(1, 8), min_size=1, max_size=4),
    taken=st.lists(st.tuples(st.integers(0, 3), st.integers(1, 4)), max_size=6),
    each=st.integers(1, 4),
    count=st.integers(1, 12),
)
def test_room_that_is_found_is_there_and_room_that_is_not_found_is_not(
    sizes: list[int], taken: list[tuple[int, int]], each: int, count: int
) -> None:
    nodes = [node(f"n{n}", str(size)) for n, size in enumerate(sizes)]
    pods = [pod(f"p{i}", f"n{where}", str(cpu)) for i, (where, cpu) in enumerate(taken)]
    free = room.free(nodes, pods)
    most = sum(min(max(int(left["cpu"]), 0) // each, int(left["pods"])) for left in free.values())
    assert (room.no_room({}, count, nodes, free, Demand({"cpu": Decimal(each)})) == "") is (count <= most)


@pytest.mark.parametrize(
    ("hard", "used", "more", "told"),
    [
        ({"pods": "3"}, {"pods": "2"}, {"pods": 1}, []),
        ({"pods": "2"}, {"pods": "2"}, {"pods": 1}, ["ResourceQuota q: pods 2 used of 2, 1 more are needed"]),
        # what is over already does not forbid what needs none of it
        ({"pods": "1"}, {"pods": "2"}, {"pods": 0}, []),
        ({"cpu": "1"}, {"cpu": "950m"}, {"requests.cpu": "0.1"}, ["ResourceQuota q: requests.cpu 950m used of 1, 100m more are needed"]),
        ({"limits.cpu": "1"}, {}, {"pods": 1}, ["ResourceQuota q wants limits.cpu of every container, and one has none"]),
    ],
)
def test_a_quota_that_would_refuse_is_told(hard: dict[str, str], used: dict[str, str], more: dict[str, Any], told: list[str]) -> None:
    spec = {"containers": [container()]}
    assert room.over_quota([quota(hard, used)], spec, demand(spec), {key: Decimal(value) for key, value in more.items()}) == told


@pytest.mark.parametrize(
    ("spec", "counts"),
    [
        ({"scopes": ["BestEffort"]}, False),
        ({"scopes": ["NotBestEffort", "NotTerminating"]}, True),
        ({"scopes": ["Terminating"]}, False),
        ({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}]}}, False),
    ],
)
def test_a_quota_counts_only_what_is_in_its_scope(spec: dict[str, Any], counts: bool) -> None:
    pods = {"containers": [container()]}
    found = room.over_quota([quota({"pods": "1"}, {"pods": "1"}, **spec)], pods, demand(pods), {"pods": Decimal(1)})
    assert bool(found) is counts


def test_a_quota_that_says_nothing_yet_is_not_taken_as_free() -> None:
    pods = {"containers": [container()]}
    body = {**quota({}, {}), "status": {}}
    assert room.over_quota([body], pods, demand(pods), {"pods": Decimal(1)}) == ["ResourceQuota q does not say yet what is used of it"]


@pytest.mark.parametrize(
    ("key", "amount", "text"), [("cpu", "0.25", "250m"), ("cpu", "1.5", "1.5"), ("memory", str(3 * 2**29), "1.5Gi"), ("pods", "3", "3")]
)
def test_amounts_are_shown_as_an_operator_writes_them(key: str, amount: str, text: str) -> None:
    assert shown(key, Decimal(amount)) == text
