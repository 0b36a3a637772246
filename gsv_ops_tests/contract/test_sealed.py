"""A literal value in a Cluster's environment is in what is made from it, and in nothing that is written down of that."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from gsv_ops.database import manifest, remembered, source
from gsv_ops.kube import objects
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan, Target
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster
from gsv_ops_tests.unit.database.test_proof_plan import planned

CANARY = "canary-0b5e-not-a-token"
REFERENCE = {"name": "FROM_SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}
ENV = [{"name": "HTTP TOKEN", "value": CANARY}, REFERENCE, {"name": "EMPTY", "value": ""}]


@pytest.fixture
def kube() -> FakeKube:
    made = FakeKube(custom=[POSTGRES_CLUSTER])
    made.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    body = cluster()
    body["spec"]["env"] = ENV
    made.put(body)
    return made


@pytest.fixture
def desk(kube: FakeKube, tmp_path: Path) -> Desk:
    return Desk(kube, spec.load(None), "dev", "c-1", Records(UPath(tmp_path / "evidence")), "12345678-run", lambda _: None)


def live(kube: FakeKube, name: str = "cmp-postgres") -> Any:
    return kube.get(POSTGRES_CLUSTER, name, "cmp")


def drill(kube: FakeKube) -> Plan:
    """The proof's plan of the source as it is."""
    return planned(cluster=live(kube))


def made(desk: Desk, plan: Plan) -> str:
    action = plan.actions[1]
    return objects.name(apply.create(desk, action, Journal.open(desk.records, "prove_backup", desk.run_id)))


def test_a_proof_is_made_with_the_value_and_nothing_written_down_has_it(kube: FakeKube, desk: Desk) -> None:
    plan = drill(kube)
    desk.records.write(f"plans/{plan.id}", plan.to_json())
    name = made(desk, Plan.from_json(plan.to_json()))
    assert live(kube, name)["spec"]["env"] == ENV
    written = "".join(path.read_text() for path in Path(str(desk.records.root)).rglob("*.json"))
    assert name in written
    assert CANARY not in written
    assert plan.facts["environment variables whose values are filled in from the source when it is made"] == "HTTP TOKEN, EMPTY"


def changed(kube: FakeKube) -> None:
    env = [{"name": "HTTP TOKEN", "value": "another"}]
    kube.patch(POSTGRES_CLUSTER, "cmp-postgres", "cmp", {"spec": {"env": env}})


def anew(kube: FakeKube) -> None:
    body = live(kube)
    kube.remove(POSTGRES_CLUSTER, "cmp-postgres", "cmp")
    kube.create({**body, "metadata": {"name": "cmp-postgres", "namespace": "cmp"}})


def gone(kube: FakeKube) -> None:
    kube.remove(POSTGRES_CLUSTER, "cmp-postgres", "cmp")


@pytest.mark.parametrize(
    ("happens", "said"),
    [(changed, "has changed since the plan was made"), (anew, "has changed since the plan"), (gone, "is gone, and spec.env")],
)
def test_a_value_that_may_be_another_by_now_makes_nothing(
    kube: FakeKube, desk: Desk, happens: Callable[[FakeKube], None], said: str
) -> None:
    plan = drill(kube)
    happens(kube)
    with pytest.raises(OperationFailed, match=said) as caught:
        made(desk, plan)
    assert CANARY not in str(caught.value)
    with pytest.raises(NotFound):
        live(kube, plan.actions[1].target.for_run(desk.run_id).name)


def test_a_plan_is_another_once_the_value_is(kube: FakeKube) -> None:
    before = drill(kube)
    assert drill(kube).id == before.id
    changed(kube)
    assert drill(kube).id != before.id


def test_a_cluster_that_stays_and_what_differs_in_it_show_no_value_either(kube: FakeKube, desk: Desk) -> None:
    origin = live(kube)
    body = manifest.lasting("new", origin, source.archive(origin), {}, {}, instances=1, server_name="new-1")
    shown = manifest.difference(origin["spec"], body["spec"])
    assert CANARY not in str([body, shown])
    assert "env" not in {row["field"] for row in shown}
    action = Action("create", Target(POSTGRES_CLUSTER.api_version, "Cluster", "new", "cmp"), "r", body=body)
    apply.create(replace(desk, now=lambda: datetime.now(UTC)), action, Journal.open(desk.records, "restore_database", desk.run_id))
    assert live(kube, "new")["spec"]["env"] == ENV


def test_of_a_source_that_is_gone_the_values_are_left_out_and_named(kube: FakeKube, desk: Desk) -> None:
    """A restore from what is remembered of it goes on without them; what is remembered holds none."""
    remembered.keep(desk, DATABASE, live(kube))
    assert CANARY not in Path(remembered.where(desk, DATABASE)).read_text()
    found = remembered.recall(desk, DATABASE)
    assert found is not None
    body = manifest.lasting("new", found[0], source.archive(found[0]), {}, {}, instances=1, server_name="new-1")
    assert body["spec"]["env"] == [REFERENCE]
    assert manifest.filled_in(found[0]) == {"environment variables left out: the source is gone": "HTTP TOKEN, EMPTY"}
