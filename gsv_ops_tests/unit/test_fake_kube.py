"""What a test can do with the fake that no Kube does: seed it, script it, forbid; the verbs themselves are the contract suite's."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Address, ExecResult, Kube
from gsv_ops.kube.resources import CONFIG_MAP, NODE, POD, POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops_tests.contract.bodies import config_map, pod
from gsv_ops_tests.fake_kube import FakeKube, NotScripted

CLUSTER = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "pg", "namespace": "default", "creationTimestamp": "2020-01-01T00:00:00Z", "uid": "u-1"},
    "spec": {"instances": 3},
    "status": {"phase": "Cluster in healthy state"},
}


@pytest.fixture
def fake() -> FakeKube:
    return FakeKube(custom=[POSTGRES_CLUSTER], now=lambda: datetime(2026, 11, 24, 6, 0, tzinfo=UTC))


def test_it_is_a_kube(fake: FakeKube) -> None:
    kube: Kube = fake
    assert kube.list(NODE) == []


def test_what_is_put_stands_as_it_was_given_and_keeps_its_identity(fake: FakeKube) -> None:
    assert fake.put(CLUSTER)["metadata"]["generation"] == 1
    stored = fake.get(POSTGRES_CLUSTER, "pg", "default")
    assert (stored["status"], objects.uid(stored), objects.created(stored).year) == (CLUSTER["status"], "u-1", 2020)

    again = {**CLUSTER, "metadata": {"name": "pg", "namespace": "default"}, "spec": {"instances": 2}}
    assert fake.put(again)["metadata"] == stored["metadata"] | {"resourceVersion": again_version(fake), "generation": 2}
    fake.put(again | {"status": {"phase": "Failing over"}})
    assert fake.get(POSTGRES_CLUSTER, "pg", "default")["metadata"]["generation"] == 2
    with pytest.raises(errors.NamespaceNotFound, match="nowhere"):
        fake.put(config_map("nowhere", "a"))


def again_version(fake: FakeKube) -> str:
    return objects.resource_version(fake.get(POSTGRES_CLUSTER, "pg", "default"))


def test_a_custom_resource_has_a_status_and_a_generation_where_its_definition_is_installed(fake: FakeKube) -> None:
    made = fake.create(CLUSTER)
    assert "status" not in made
    assert objects.created(made) == datetime(2026, 11, 24, 6, 0, tzinfo=UTC)
    patch = {"metadata": {"labels": {"x": "1"}}, "spec": {"instances": 9}, "status": {"phase": "ready"}}
    observed = fake.patch(POSTGRES_CLUSTER, "pg", "default", patch, subresource="status")
    assert (observed["spec"], observed["status"], objects.labels(observed)) == ({"instances": 3}, {"phase": "ready"}, {})
    assert observed["metadata"]["generation"] == 1
    assert fake.patch(POSTGRES_CLUSTER, "pg", "default", {"spec": {"instances": 2}})["metadata"]["generation"] == 2
    with pytest.raises(errors.NotServed):
        fake.list(POSTGRES_BACKUP)


def test_a_pod_ends_when_the_test_says_so(fake: FakeKube) -> None:
    made = fake.create(pod("default", "p", nodeName="n"))
    fake.delete(POD, "p", "default", uid=objects.uid(made))
    assert objects.deleting(fake.get(POD, "p", "default"))
    fake.remove(POD, "p", "default")
    with pytest.raises(errors.NotFound):
        fake.remove(POD, "p", "default")


def test_a_right_may_be_missing_for_one_verb_kind_subresource_or_namespace(fake: FakeKube) -> None:
    fake.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
    fake.create(pod("default", "p"))
    fake.script(exec=lambda *_: ExecResult(0, "", ""), logs=lambda *_: "said\n")
    fake.forbid("create", CONFIG_MAP, namespace="default")
    fake.forbid("create", POD, subresource="exec")

    fake.create(config_map("other", "a"))
    with pytest.raises(errors.Forbidden, match=r'user "fake" may not create configmaps in namespace "default"'):
        fake.create(config_map("default", "a"))
    with pytest.raises(errors.Forbidden) as caught:
        fake.apply(config_map("default", "a"))
    assert caught.value.rule == '{apiGroups: [""], resources: ["configmaps"], verbs: ["create"]}'
    with pytest.raises(errors.Forbidden, match="may not create pods/exec"):
        fake.exec("default", "p", "c", ["true"])
    assert fake.logs("default", "p", "c") == "said\n"
    fake.create(pod("default", "q"))
    fake.beside().create(config_map("default", "a"))
    assert fake.apply(config_map("default", "a", x="1"))["data"] == {"x": "1"}  # nothing is created

    fake.forbid("watch", POD)
    with pytest.raises(errors.Forbidden, match="may not watch pods"):
        fake.wait(POD, "p", "default", lambda body: body, timeout=5, what="p")


def test_containers_and_ports_do_what_was_scripted(fake: FakeKube) -> None:
    fake.create(pod("default", "p"))

    @contextmanager
    def port(namespace: str, name: str, number: int) -> Iterator[Address]:
        yield Address("127.0.0.1", number + 1)

    fake.script(logs=lambda namespace, name, container, previous: "one\ntwo\nthree\n", open_port=port)
    fake.script(exec=lambda namespace, name, container, command, stdin: ExecResult(3, f"{name} {container} {command} {stdin}", "no"))

    assert fake.exec("default", "p", "c", ["cat"], stdin="in") == ExecResult(3, "p c ['cat'] in", "no")
    assert (fake.logs("default", "p", "c", tail=2), fake.logs("default", "p", "c", tail=0)) == ("two\nthree\n", "")
    assert fake.logs("default", "p", "c", limit_bytes=5) == "one\nt"
    with fake.open_port("default", "p", 80) as address:
        assert address == Address("127.0.0.1", 81)


def test_what_was_not_scripted_is_no_failure_of_the_cluster(fake: FakeKube) -> None:
    fake.create(pod("default", "p"))
    unexpected = (
        lambda: fake.exec("default", "p", "c", ["rm", "-r"]),
        lambda: fake.logs("default", "p", "c"),
        lambda: fake.open_port("default", "p", 80),
        lambda: fake.patch(POD, "p", "default", {"spec": {}}, subresource="resize"),
        lambda: fake.patch(POD, "p", "default", {"spec": {"tolerations": [{"key": "k"}]}}, kind="strategic"),
    )
    for attempt in unexpected:
        with pytest.raises(NotScripted):
            attempt()
    assert not issubclass(NotScripted, errors.KubeError)


def test_a_body_that_is_no_json_is_refused_as_a_client_refuses_it(fake: FakeKube) -> None:
    with pytest.raises(TypeError):
        fake.create(config_map("default", "a") | {"data": {"x": datetime.now(UTC)}})
    with pytest.raises(TypeError):
        fake.put(config_map("default", "a") | {"data": {"x": b"bytes"}})
