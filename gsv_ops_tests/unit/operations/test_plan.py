"""A plan's id is the decision and nothing else, and a plan that was changed after it was made is found out."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.operations.plan import RUN_NAME, Action, Kept, Plan, Refused, Target, canonical, differences, named
from gsv_ops.operations.records import DamagedRecord

TARGET = Target("apps/v1", "ReplicaSet", "web-7c9", "cmp", "u-1")
PLAN = Plan(
    operation="clean_up",
    environment="dev",
    cluster_identity="c-1",
    params={"keep": 2, "database": "cmp_postgres"},
    actions=(
        Action("delete", TARGET, "eleven revisions old", {"spec.replicas": 0, "metadata.labels.app": "web"}),
        Action("create", Target("v1", "ConfigMap", f"made-{RUN_NAME}", "cmp"), "needed", body={"data": {"b": 1, "a": [{"y": None}]}}),
    ),
    kept=(Kept(replace(TARGET, name="web-8d1", uid="u-2"), "it is the live one"),),
    refused=(Refused(replace(TARGET, name="api-1", uid="u-3"), "another owns it"),),
    facts={"image": "postgres:15", "primary": "cmp-postgres-1"},
    seen=12,
)

TEXT = st.text(max_size=8)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(TEXT, JSON, max_size=3)
TARGETS = st.builds(Target, TEXT, TEXT, TEXT, TEXT, TEXT)
ACTIONS = st.builds(Action, st.sampled_from(["create", "patch", "delete"]), TARGETS, TEXT, OBJECTS, st.none() | OBJECTS)
PLANS = st.builds(
    Plan,
    TEXT,
    TEXT,
    TEXT,
    OBJECTS,
    st.lists(ACTIONS, max_size=3).map(tuple),
    st.lists(st.builds(Kept, TARGETS, TEXT), max_size=2).map(tuple),
    st.lists(st.builds(Refused, TARGETS, TEXT), max_size=2).map(tuple),
    OBJECTS,
    st.integers(0, 99),
)


def turned(value: Any) -> Any:
    """The same JSON with every object's keys in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(PLANS)
def test_a_plan_comes_back_from_its_json_as_it_was(plan: Plan) -> None:
    body = json.loads(json.dumps(plan.to_json()))
    assert Plan.from_json(body) == plan
    assert Plan.from_json(turned(body)).id == plan.id == body["id"]
    assert differences(plan, Plan.from_json(body)) == []


@settings(max_examples=60, deadline=None)
@given(PLANS, PLANS, st.sampled_from(["environment", "cluster_identity", "operation", "params", "actions", "refused", "facts"]))
def test_ids_agree_exactly_when_there_is_no_difference_to_tell(plan: Plan, other: Plan, part: str) -> None:
    moved = replace(plan, **{part: getattr(other, part)})
    assert (plan.id == moved.id) is (differences(plan, moved) == [])


@pytest.mark.parametrize(
    ("moved", "line"),
    [
        (replace(PLAN, facts={**PLAN.facts, "size": None}), "fact size: not there -> null"),
        (replace(PLAN, params={"database": "cmp_postgres", "keep": True}), "parameter keep: 2 -> true"),
        (replace(PLAN, actions=PLAN.actions[::-1]), "actions: the same ones, in another order or number"),
        (replace(PLAN, actions=(*PLAN.actions, PLAN.actions[0])), "actions: the same ones, in another order or number"),
    ],
)
def test_whatever_moves_the_id_is_told(moved: Plan, line: str) -> None:
    assert moved.id != PLAN.id
    assert differences(PLAN, moved) == [line]


@settings(max_examples=30, deadline=None)
@given(PLANS, st.lists(st.builds(Kept, TARGETS, TEXT), max_size=2).map(tuple), st.integers(0, 99))
def test_what_is_left_alone_and_how_much_was_seen_are_no_part_of_the_decision(plan: Plan, kept: Any, seen: int) -> None:
    assert replace(plan, kept=kept, seen=seen).id == plan.id


def test_an_id_stays_the_same_from_release_to_release() -> None:
    assert PLAN.id == "p-fec288bf9165"


DELETION, CREATION = PLAN.actions
CHANGES: dict[str, Plan] = {
    "environment": replace(PLAN, environment="prod"),
    "cluster": replace(PLAN, cluster_identity="c-2"),
    "operation": replace(PLAN, operation="clean_up_more"),
    "parameter": replace(PLAN, params={**PLAN.params, "keep": 3}),
    "new parameter": replace(PLAN, params={**PLAN.params, "all": True}),
    "fact": replace(PLAN, facts={**PLAN.facts, "primary": "cmp-postgres-2"}),
    "verb": replace(PLAN, actions=(replace(DELETION, verb="patch"), CREATION)),
    "kind": replace(PLAN, actions=(replace(DELETION, target=replace(TARGET, kind="Job")), CREATION)),
    "api version": replace(PLAN, actions=(replace(DELETION, target=replace(TARGET, api_version="apps/v2")), CREATION)),
    "name": replace(PLAN, actions=(replace(DELETION, target=replace(TARGET, name="web-7c8")), CREATION)),
    "namespace": replace(PLAN, actions=(replace(DELETION, target=replace(TARGET, namespace="sso")), CREATION)),
    "uid": replace(PLAN, actions=(replace(DELETION, target=replace(TARGET, uid="u-9")), CREATION)),
    "guard": replace(PLAN, actions=(replace(DELETION, guard={**DELETION.guard, "spec.replicas": 1}), CREATION)),
    "body": replace(PLAN, actions=(DELETION, replace(CREATION, body={"data": {"b": "2"}}))),
    "reason": replace(PLAN, actions=(replace(DELETION, reason="ten revisions old"), CREATION)),
    "one action fewer": replace(PLAN, actions=(DELETION,)),
    "refusal": replace(PLAN, refused=()),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_id_moves_with_everything_that_was_relied_on(change: str) -> None:
    assert CHANGES[change].id != PLAN.id
    assert differences(PLAN, CHANGES[change]) != []


def test_no_two_changes_share_an_id() -> None:
    assert len({plan.id for plan in CHANGES.values()}) == len(CHANGES)


@pytest.mark.parametrize("part", ["actions", "facts", "params", "environment", "cluster_identity", "operation", "refused"])
def test_a_stored_plan_that_was_changed_is_refused(part: str) -> None:
    body = PLAN.to_json()
    other = replace(
        PLAN, environment="qa", cluster_identity="c-3", operation="other", params={}, actions=(), refused=(), facts={}
    ).to_json()
    with pytest.raises(
        DamagedRecord, match=f"says it is {PLAN.id} but its content gives p-[0-9a-f]{{12}}: it was changed after it was made"
    ):
        Plan.from_json(body | {part: other[part]})


def test_a_stored_plan_without_its_id_is_refused() -> None:
    body = PLAN.to_json()
    del body["id"]
    with pytest.raises(DamagedRecord, match="says it is None"):
        Plan.from_json(body)


def test_differences_are_told_a_line_each() -> None:
    now = replace(
        PLAN,
        environment="prod",
        params={"keep": 3},
        facts={**PLAN.facts, "image": "postgres:" + "1" * 200},
        actions=(CREATION, replace(DELETION, target=replace(TARGET, name="web-7c8"))),
        refused=(),
    )
    assert differences(PLAN, now) == [
        "environment: dev -> prod",
        "parameter database: cmp_postgres -> not there",
        "parameter keep: 2 -> 3",
        f"fact image: postgres:15 -> postgres:{'1' * 108}...",
        "action no longer planned: delete ReplicaSet cmp/web-7c9 (eleven revisions old)",
        "action not in the plan: delete ReplicaSet cmp/web-7c8 (eleven revisions old)",
        "refusal no longer planned: ReplicaSet cmp/api-1 (another owns it)",
    ]


def test_names_of_a_run_are_the_same_for_all_its_executions() -> None:
    run_id = "4f0c1a2b-3d4e-4f5a-8b6c-7d8e9f0a1b2c"
    assert named(f"cmp-proof-{RUN_NAME}", run_id) == "cmp-proof-4f0c1a2b"
    assert named("no placeholder", run_id) == "no placeholder"
    made = PLAN.actions[1].target.for_run(run_id)
    assert (str(made), made.uid) == ("ConfigMap cmp/made-4f0c1a2b", "")
    assert str(Target("v1", "Namespace", "cmp")) == "Namespace cmp"


def test_there_is_one_way_to_write_a_value() -> None:
    assert canonical({"b": [1, {"d": None, "c": "ü"}], "a": True}) == '{"a":true,"b":[1,{"c":"\\u00fc","d":null}]}'
