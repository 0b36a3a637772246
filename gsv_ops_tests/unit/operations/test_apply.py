"""The guarded apply, against the fake and the real API server: whoever comes second finds that the object moved, and changes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.kube.resources import CONFIG_MAP
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import RUN_NAME, Action, Plan, Target
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.contract.bodies import config_map
from gsv_ops_tests.contract.faults import Answer, faulty_api
from gsv_ops_tests.unit.operations.conftest import NOW

RUN = "4f0c1a2b-3d4e-4f5a-8b6c-7d8e9f0a1b2c"
OTHER_RUN = "aaaaaaaa-3d4e-4f5a-8b6c-7d8e9f0a1b2c"


class Between:
    """A Kube in which another writer comes between what is read and what is written."""

    def __init__(self, kube: Kube, verb: str, other: Callable[[], object]) -> None:
        self._kube, self._verb, self._other = kube, verb, other

    def __getattr__(self, name: str) -> Any:
        if name == self._verb:
            self._verb = ""
            self._other()
        return getattr(self._kube, name)


class Collected:
    """A Kube whose foreground deletions end, as the garbage collector ends them; nothing here runs one."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def delete(self, resource: Resource, name: str, namespace: str | None = None, **options: Any) -> None:
        self._kube.delete(resource, name, namespace, **options)
        finalizers = objects.at(self._kube.get(resource, name, namespace), "metadata", "finalizers", default=[])
        left = [finalizer for finalizer in finalizers if finalizer != "foregroundDeletion"]
        self._kube.patch(resource, name, namespace, {"metadata": {"finalizers": left or None}})

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)


class Bench:
    """A desk in a namespace of the test's own."""

    def __init__(self, kube: Kube, namespace: str, records: Records) -> None:
        self.kube, self.namespace, self.records = kube, namespace, records

    def desk(self, kube: object = None, run_id: str = RUN) -> Desk:
        return Desk(cast(Kube, kube or self.kube), spec.load(None), "dev", "c-1", self.records, run_id, lambda _: None, now=lambda: NOW)

    def journal(self, run_id: str = RUN) -> Journal:
        return Journal.open(self.records, "toy", run_id)

    def creation(self, name: str = f"a-{RUN_NAME}", **data: str) -> Action:
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"labels": {"app": "toy"}}, "data": data}
        return Action("create", Target("v1", "ConfigMap", name, self.namespace), "needed", body=body)

    def change(self, verb: str, found: Object, guard: dict[str, Any] | None = None, body: Object | None = None) -> Action:
        target = Target("v1", "ConfigMap", objects.name(found), self.namespace, objects.uid(found))
        return Action(verb, target, "planned", guard or {}, body)  # type: ignore[arg-type]

    def get(self, name: str) -> Object:
        return self.kube.get(CONFIG_MAP, name, self.namespace)

    def touch(self, name: str) -> Object:
        return self.kube.patch(CONFIG_MAP, name, self.namespace, {"data": {"touched": "yes"}})

    def replace(self, name: str) -> Object:
        """Another object under the name."""
        self.kube.delete(CONFIG_MAP, name, self.namespace, uid=objects.uid(self.get(name)))
        return self.kube.create(config_map(self.namespace, name, mine="no"))


@pytest.fixture
def bench(kube: Kube, namespace: str, records: Records) -> Bench:
    return Bench(kube, namespace, records)


def outcomes(journal: Journal) -> list[tuple[str, str]]:
    return [(outcome.verb, outcome.result) for outcome in journal.outcomes]


def test_what_is_made_bears_the_run_and_is_named_after_it_throughout(bench: Bench) -> None:
    action = bench.creation(x="1", **{f"key-{RUN_NAME}": f"in {RUN_NAME}"})
    journal = bench.journal()
    made = apply.create(bench.desk(), action, journal, timedelta(hours=1))
    stored = bench.get("a-4f0c1a2b")
    assert stored["data"] == {"x": "1", "key-4f0c1a2b": "in 4f0c1a2b"}
    assert objects.labels(stored) == {"app": "toy", "gsv-ops/run": RUN, "gsv-ops/operation": "toy"}
    assert objects.annotations(stored) == {"gsv-ops/expires": "2026-11-24T07:00:00+00:00"}
    assert objects.uid(made) == objects.uid(stored) == journal.targets()[0].uid
    assert action.body is not None
    assert "annotations" not in action.body["metadata"], "the plan itself was changed"
    assert outcomes(journal) == [("create", "done")]


def test_placeholders_are_replaced_however_deep_they_stand(bench: Bench) -> None:
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {},
        "spec": {
            "podSelector": {"matchLabels": {"cnpg.io/cluster": f"proof-{RUN_NAME}"}},
            "egress": [{"to": [{"podSelector": {"matchLabels": {"x": RUN_NAME}}}]}],
        },
    }
    made = apply.create(
        bench.desk(),
        Action("create", Target("networking.k8s.io/v1", "NetworkPolicy", f"p-{RUN_NAME}", bench.namespace), "", body=body),
        bench.journal(),
    )
    assert made["spec"]["podSelector"]["matchLabels"] == {"cnpg.io/cluster": "proof-4f0c1a2b"}
    assert made["spec"]["egress"][0]["to"][0]["podSelector"]["matchLabels"] == {"x": "4f0c1a2b"}


def test_a_run_adopts_what_it_made_itself(bench: Bench) -> None:
    first = apply.create(bench.desk(), bench.creation(x="1"), bench.journal())
    lost = Journal.open(Records(bench.records.root / "elsewhere"), "toy", RUN)
    again = apply.create(bench.desk(), bench.creation(x="2"), lost)
    assert objects.uid(again) == objects.uid(first)
    assert again["data"] == {"x": "1"}
    assert (outcomes(lost), lost.targets()[0].uid) == ([("create", "already")], objects.uid(first))


@pytest.mark.parametrize("labels", [None, {"gsv-ops/run": OTHER_RUN, "gsv-ops/operation": "toy"}])
def test_an_object_of_another_under_the_name_is_refused_and_left_alone(bench: Bench, labels: dict[str, str] | None) -> None:
    body = config_map(bench.namespace, "a-4f0c1a2b", mine="no")
    body["metadata"]["labels"] = labels
    before = bench.kube.create(body)
    journal = bench.journal()
    with pytest.raises(ClusterMovedOn, match="exists and was not made by this run; nothing was changed") as caught:
        apply.create(bench.desk(), bench.creation(), journal)
    assert caught.value.next_command == f"kubectl get configmaps a-4f0c1a2b -n {bench.namespace} -o yaml"
    assert bench.get("a-4f0c1a2b") == before
    assert outcomes(journal) == [("create", "failed")]
    assert apply.release_made(bench.desk(), journal, 5) == []
    assert bench.get("a-4f0c1a2b") == before


@pytest.mark.parametrize(("run_id", "ours"), [(RUN, True), (OTHER_RUN, False)])
def test_one_who_comes_between_looking_and_making_is_met(bench: Bench, run_id: str, ours: bool) -> None:
    def other() -> None:
        body = config_map(bench.namespace, "a-4f0c1a2b")
        body["metadata"]["labels"] = {"gsv-ops/run": run_id, "gsv-ops/operation": "toy"}
        bench.kube.create(body)

    journal = bench.journal()
    desk = bench.desk(Between(bench.kube, "create", other))
    if ours:
        apply.create(desk, bench.creation(), journal)
        assert outcomes(journal) == [("create", "already")]
    else:
        with pytest.raises(ClusterMovedOn, match="was not made by this run"):
            apply.create(desk, bench.creation(), journal)


def test_what_is_still_being_taken_down_is_not_adopted(bench: Bench) -> None:
    body = config_map(bench.namespace, "a-4f0c1a2b")
    body["metadata"] |= {"labels": {"gsv-ops/run": RUN}, "finalizers": ["test/holds-it"]}
    made = bench.kube.create(body)
    bench.kube.delete(CONFIG_MAP, "a-4f0c1a2b", bench.namespace, uid=objects.uid(made))
    try:
        with pytest.raises(OperationFailed, match="still being taken down; run it again when it is gone"):
            apply.create(bench.desk(), bench.creation(), bench.journal())
    finally:
        bench.kube.patch(CONFIG_MAP, "a-4f0c1a2b", bench.namespace, {"metadata": {"finalizers": None}})


@pytest.mark.control_plane
@pytest.mark.parametrize("fault", [Answer(0, drop=True), Answer(503, "ServiceUnavailable", "busy")], ids=["no answer", "unavailable"])
def test_a_write_without_an_answer_is_written_down_as_unknown(bench: Bench, admin: KubeClient, fault: Answer) -> None:
    found = bench.kube.create(config_map(bench.namespace, "b"))
    with faulty_api(admin._transport, attempts=2) as (api, transport):
        api.rule = lambda seen, before: fault if seen.method in ("POST", "PATCH", "DELETE") else None
        desk, journal = bench.desk(KubeClient(transport)), bench.journal()
        for verb, do in (
            ("create", lambda: apply.create(desk, bench.creation(), journal)),
            ("patch", lambda: apply.patch(desk, bench.change("patch", found, body={"data": {"x": "1"}}), journal)),
            ("delete", lambda: apply.delete(desk, bench.change("delete", found), journal)),
        ):
            with pytest.raises(errors.Unavailable):
                cast(Callable[[], object], do)()
            assert outcomes(journal)[-1] == (verb, "unknown")
    assert [target.name for target in journal.targets()] == ["a-4f0c1a2b"], "it is to be taken down, since it may have been made"


GUARD = {"data.colour": "red", "metadata.labels.cnpg.io/cluster": "x", "data.absent": None}


def guarded(bench: Bench) -> Object:
    body = config_map(bench.namespace, "g", colour="red")
    body["metadata"]["labels"] = {"cnpg.io/cluster": "x"}
    return bench.kube.create(body)


@pytest.mark.parametrize("verb", ["delete", "patch"])
def test_what_stands_as_it_was_planned_is_changed(bench: Bench, verb: str) -> None:
    found = guarded(bench)
    bench.touch("g")  # what nobody relied on may move
    journal = bench.journal()
    plan = Plan("toy", "dev", "c-1", {}, (bench.change(verb, found, GUARD, {"data": {"x": "1"}} if verb == "patch" else None),))
    apply.apply_plan(bench.desk(), plan, journal)
    assert outcomes(journal) == [(verb, "done")]
    if verb == "patch":
        assert bench.get("g")["data"] == {"colour": "red", "touched": "yes", "x": "1"}
    else:
        with pytest.raises(errors.NotFound):
            bench.get("g")


@pytest.mark.parametrize("verb", ["delete", "patch"])
@pytest.mark.parametrize(
    ("moved", "told"),
    [
        ({"data": {"colour": "blue"}}, "data.colour was 'red', is 'blue'"),
        ({"data": {"absent": "there now"}}, "data.absent was None, is 'there now'"),
        ({"metadata": {"labels": {"cnpg.io/cluster": None}}}, "metadata.labels.cnpg.io/cluster was 'x', is None"),
    ],
)
def test_what_was_relied_on_and_moved_is_left_alone(bench: Bench, verb: str, moved: Object, told: str) -> None:
    found = guarded(bench)
    before = bench.kube.patch(CONFIG_MAP, "g", bench.namespace, moved)
    journal = bench.journal()
    act = apply.delete if verb == "delete" else apply.patch
    with pytest.raises(ClusterMovedOn) as caught:
        act(bench.desk(), bench.change(verb, found, GUARD, {"data": {"x": "1"}}), journal)
    assert (
        str(caught.value) == f"ConfigMap {bench.namespace}/g is no longer what the plan relied on ({told}); it was left alone. Plan again."
    )
    assert bench.get("g") == before
    assert outcomes(journal) == [(verb, "failed")]


@pytest.mark.parametrize("verb", ["delete", "patch"])
def test_another_object_under_the_name_is_left_alone(bench: Bench, verb: str) -> None:
    found = bench.kube.create(config_map(bench.namespace, "g"))
    before = bench.replace("g")
    act = apply.delete if verb == "delete" else apply.patch
    with pytest.raises(ClusterMovedOn, match=f"uid was {objects.uid(found)}, is {objects.uid(before)}"):
        act(bench.desk(), bench.change(verb, found, body={"data": {"x": "1"}}), bench.journal())
    assert bench.get("g") == before


@pytest.mark.parametrize("verb", ["delete", "patch"])
@pytest.mark.parametrize("other", ["touch", "replace"])
def test_a_writer_in_the_moment_of_the_write_wins(bench: Bench, verb: str, other: str) -> None:
    found = bench.kube.create(config_map(bench.namespace, "g"))
    journal = bench.journal()
    desk = bench.desk(Between(bench.kube, verb, lambda: getattr(bench, other)("g")))
    act = apply.delete if verb == "delete" else apply.patch
    with pytest.raises(ClusterMovedOn, match="changed in the moment of"):
        act(desk, bench.change(verb, found, body={"data": {"x": "1"}}), journal)
    assert bench.get("g")["data"] == ({"touched": "yes"} if other == "touch" else {"mine": "no"})
    assert outcomes(journal) == [(verb, "failed")]


def test_what_is_gone_is_fine_to_delete_and_not_to_change(bench: Bench) -> None:
    found = bench.kube.create(config_map(bench.namespace, "g"))
    deletion, change = bench.change("delete", found), bench.change("patch", found, body={"data": {"x": "1"}})
    remove = lambda: bench.kube.delete(CONFIG_MAP, "g", bench.namespace, uid=objects.uid(bench.get("g")))  # noqa: E731
    journal = bench.journal()
    apply.delete(bench.desk(Between(bench.kube, "delete", remove)), deletion, journal)
    apply.delete(bench.desk(), deletion, journal)
    assert outcomes(journal) == [("delete", "already")] * 2
    with pytest.raises(ClusterMovedOn, match="is gone; there is nothing to change"):
        apply.patch(bench.desk(), change, journal)
    with pytest.raises(errors.NotFound):
        bench.get("g")


def test_release_takes_down_what_the_run_made_newest_first_and_nothing_else(bench: Bench) -> None:
    journal = bench.journal()
    for name in ("one", "two", "three"):
        apply.create(bench.desk(), bench.creation(name), journal)
    journal.will_make(Target("v1", "ConfigMap", "never-made", bench.namespace))
    somebodys = bench.replace("two")
    said = list[str]()
    desk = Desk(cast(Kube, Collected(bench.kube)), spec.load(None), "dev", "c-1", bench.records, RUN, said.append)
    assert apply.release_made(desk, journal, 10) == []
    assert said == [f"ConfigMap {bench.namespace}/{name} is gone" for name in ("three", "one")]
    assert bench.get("two") == somebodys
    assert apply.release_made(desk, journal, 10) == []


def test_what_does_not_go_is_named_and_what_was_made_before_it_stays(bench: Bench) -> None:
    journal = bench.journal()
    apply.create(bench.desk(), bench.creation("policy"), journal)
    held = bench.creation("held")
    assert held.body is not None
    held.body["metadata"]["finalizers"] = ["test/holds-it"]  # type: ignore[index]
    apply.create(bench.desk(), held, journal)
    try:
        left = apply.release_made(bench.desk(Collected(bench.kube)), journal, 1)
        assert [line.partition(":")[0] for line in left] == [f"ConfigMap {bench.namespace}/held", f"ConfigMap {bench.namespace}/policy"]
        assert left[1].endswith("kept for what is still there")
        assert objects.name(bench.get("policy")) == "policy"
    finally:
        bench.kube.patch(CONFIG_MAP, "held", bench.namespace, {"metadata": {"finalizers": None}})
    assert apply.release_made(bench.desk(Collected(bench.kube)), journal, 10) == []
    for name in ("policy", "held"):
        with pytest.raises(errors.NotFound):
            bench.get(name)


class Away:
    """A Kube whose API server is away for the first deletions."""

    def __init__(self, kube: Kube, times: int) -> None:
        self._kube, self._left = kube, times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    def delete(self, *args: Any, **kwargs: Any) -> None:
        self._left -= 1
        if self._left >= 0:
            raise errors.Unavailable("no answer from the API server")
        self._kube.delete(*args, **kwargs)


@pytest.mark.parametrize(("times", "left"), [(3, []), (99, ["ConfigMap {ns}/one: no answer from the API server"])])
def test_release_goes_on_when_the_api_server_is_back_and_ends_at_its_deadline(bench: Bench, times: int, left: list[str]) -> None:
    journal = bench.journal()
    apply.create(bench.desk(), bench.creation("one"), journal)
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    kube = Away(cast(Kube, Collected(bench.kube)), times)
    desk = replace(bench.desk(kube), monotonic=lambda: now[0], sleep=sleep)
    assert apply.release_made(desk, journal, 20) == [line.format(ns=bench.namespace) for line in left]
    assert now[0] == (6 if times == 3 else 20)


def test_release_survives_one_who_replaces_in_the_same_moment(bench: Bench) -> None:
    journal = bench.journal()
    apply.create(bench.desk(), bench.creation("one"), journal)
    desk = bench.desk(Between(bench.kube, "delete", lambda: bench.replace("one")))
    assert apply.release_made(desk, journal, 5) == []
    assert bench.get("one")["data"] == {"mine": "no"}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", 0),
        ("metadata.labels.cnpg.io/cluster", "x"),
        ("metadata.labels.cnpg", "short"),
        ("spec.absent", None),
        ("spec.replicas.deeper", None),
        ("absent.at.all", None),
    ],
)
def test_guard_values(path: str, value: object) -> None:
    found = {"spec": {"replicas": 0}, "metadata": {"labels": {"cnpg.io/cluster": "x", "cnpg": "short"}}}
    assert apply.guard_value(found, path) == value
