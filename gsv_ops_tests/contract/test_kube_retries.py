"""What happens when answers are lost, late or refused on the way: a verb is done once, and says so."""

import time
from typing import Any

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient
from gsv_ops.kube.resources import CONFIG_MAP, POD, SECRET
from gsv_ops_tests.contract.bodies import config_map, secret
from gsv_ops_tests.contract.faults import Answer, Rule, faulty_api

pytestmark = pytest.mark.control_plane

LOST = Answer(0, after=True, drop=True)
"""The work is done and the answer never comes."""
NEVER_ARRIVED = Answer(0, drop=True)
BUSY = Answer(503, "ServiceUnavailable", "busy")


def first(method: str, fault: Answer, times: int = 1) -> Rule:
    return lambda seen, before: fault if seen.method == method and before < times else None


@pytest.mark.parametrize("fault", [LOST, NEVER_ARRIVED, BUSY, Answer(500, "InternalError"), Answer(429, "TooManyRequests")])
def test_a_read_is_tried_again(admin: KubeClient, namespace: str, fault: Answer) -> None:
    admin.create(config_map(namespace, "a", x="1"))
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("GET", fault, times=2)

        assert KubeClient(transport).get(CONFIG_MAP, "a", namespace)["data"] == {"x": "1"}

        assert api.count("GET", "/configmaps/a") == 3


def test_retries_are_bounded_and_the_last_answer_is_told(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport, attempts=4) as (api, transport):
        api.rule = first("GET", Answer(503, "ServiceUnavailable", "etcd has no leader"), times=99)

        with pytest.raises(errors.Unavailable, match="answered 503: etcd has no leader"):
            KubeClient(transport).get(CONFIG_MAP, "a", namespace)

        assert api.count("GET", "/configmaps/a") == 4


def test_too_many_requests_are_waited_out_as_long_as_the_server_says(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("POST", Answer(429, "TooManyRequests", headers={"Retry-After": "1"}))
        started = time.monotonic()

        KubeClient(transport).create(config_map(namespace, "a"))

        assert 1.0 <= time.monotonic() - started < 3.0


def test_too_many_requests_for_too_long_is_an_error_of_its_own(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport, attempts=3) as (api, transport):
        api.rule = first("POST", Answer(429, "TooManyRequests"), times=99)

        with pytest.raises(errors.TooManyRequests):
            KubeClient(transport).create(config_map(namespace, "a"))

        assert api.count("POST", "/configmaps") == 3


def test_a_pause_longer_than_the_verbs_time_is_not_begun(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport, total=0.5) as (api, transport):
        api.rule = first("GET", Answer(429, "TooManyRequests", headers={"Retry-After": "60"}), times=99)
        started = time.monotonic()

        with pytest.raises(errors.TooManyRequests):
            KubeClient(transport).get(CONFIG_MAP, "a", namespace)

        assert time.monotonic() - started < 0.5


@pytest.mark.parametrize("fault", [LOST, NEVER_ARRIVED])
@pytest.mark.parametrize("kind", ["ConfigMap", "Secret", "Pod"])
def test_a_create_whose_answer_was_lost_is_done_once(admin: KubeClient, namespace: str, fault: Answer, kind: str) -> None:
    body = {
        "ConfigMap": config_map(namespace, "a", x="1"),
        "Secret": secret(namespace, "a", password="correct horse"),
        "Pod": _pod_with_quantities(namespace),
    }[kind]
    resource = {"ConfigMap": CONFIG_MAP, "Secret": SECRET, "Pod": POD}[kind]
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("POST", fault)

        made = KubeClient(transport).create(body)

        assert api.count("POST", "") == 2
    assert objects.uid(made) == objects.uid(admin.get(resource, "a", namespace))


def test_a_create_that_is_retried_does_not_take_anothers_object_for_its_own(admin: KubeClient, namespace: str) -> None:
    with faulty_api(admin._transport) as (api, transport):

        def overtaken(seen: Any, before: int) -> Answer | None:
            if seen.method == "POST" and before == 0:
                admin.create(config_map(namespace, "a", x="theirs"))
                return NEVER_ARRIVED
            return None

        api.rule = overtaken

        with pytest.raises(errors.AlreadyExists):
            KubeClient(transport).create(config_map(namespace, "a", x="ours"))


def test_a_create_that_is_retried_does_not_take_an_older_object_for_its_own(admin: KubeClient, namespace: str) -> None:
    admin.create(config_map(namespace, "a", x="1"))
    time.sleep(4.1)  # whole seconds on both clocks
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("POST", NEVER_ARRIVED)

        with pytest.raises(errors.AlreadyExists):
            KubeClient(transport).create(config_map(namespace, "a", x="1"))


def test_a_generated_name_is_the_same_in_every_attempt(admin: KubeClient, namespace: str) -> None:
    body = config_map(namespace, "")
    body["metadata"] = {"generateName": "run-", "namespace": namespace}
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("POST", LOST)

        KubeClient(transport).create(body)

    assert len(admin.list(CONFIG_MAP, namespace)) == 1


@pytest.mark.parametrize("fault", [LOST, NEVER_ARRIVED])
def test_a_delete_whose_answer_was_lost_is_done(admin: KubeClient, namespace: str, fault: Answer) -> None:
    made = admin.create(config_map(namespace, "a"))
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("DELETE", fault)

        KubeClient(transport).delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made))

    assert admin.list(CONFIG_MAP, namespace) == []


def test_a_conditional_delete_that_waits_for_a_finalizer_is_done_though_its_answer_was_lost(admin: KubeClient, namespace: str) -> None:
    body = config_map(namespace, "a")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    made = admin.create(body)
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("DELETE", LOST)

        KubeClient(transport).delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made), resource_version=objects.resource_version(made))

    assert objects.deleting(admin.get(CONFIG_MAP, "a", namespace))
    admin.patch(CONFIG_MAP, "a", namespace, {"metadata": {"finalizers": None}})


def test_a_conditional_patch_whose_answer_was_lost_is_done(admin: KubeClient, namespace: str) -> None:
    made = admin.create(config_map(namespace, "a", x="1", y="1"))
    condition = {"uid": objects.uid(made), "resourceVersion": objects.resource_version(made)}
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("PATCH", LOST)

        patched = KubeClient(transport).patch(CONFIG_MAP, "a", namespace, {"metadata": condition, "data": {"x": "2", "y": None}})

    assert patched["data"] == {"x": "2"}


def test_a_conditional_patch_that_was_overtaken_is_a_conflict_though_it_was_retried(admin: KubeClient, namespace: str) -> None:
    made = admin.create(config_map(namespace, "a", x="1"))
    with faulty_api(admin._transport) as (api, transport):

        def overtaken(seen: Any, before: int) -> Answer | None:
            if seen.method == "PATCH" and before == 0:
                admin.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "theirs"}})
                return NEVER_ARRIVED
            return None

        api.rule = overtaken
        patch = {"metadata": {"resourceVersion": objects.resource_version(made)}, "data": {"x": "ours"}}

        with pytest.raises(errors.Conflict):
            KubeClient(transport).patch(CONFIG_MAP, "a", namespace, patch)


def test_a_json_patch_that_may_have_been_done_is_not_sent_again(admin: KubeClient, namespace: str) -> None:
    admin.create(config_map(namespace, "a", x="1"))
    with faulty_api(admin._transport) as (api, transport):
        api.rule = first("PATCH", LOST)

        with pytest.raises(errors.Unavailable, match="1 attempt"):
            KubeClient(transport).patch(CONFIG_MAP, "a", namespace, [{"op": "add", "path": "/data/y", "value": "1"}], kind="json")

        assert api.count("PATCH", "/a") == 1


def test_a_list_whose_snapshot_expires_between_pages_starts_again_once(admin: KubeClient, namespace: str) -> None:
    for name in "abcde":
        admin.create(config_map(namespace, name))
    expired = Answer(410, "Expired", "The provided continue parameter is too old")
    with faulty_api(admin._transport, page=2) as (api, transport):
        api.rule = lambda seen, before: expired if before == 1 else None

        assert [objects.name(body) for body in KubeClient(transport).list(CONFIG_MAP, namespace)] == list("abcde")
        assert api.count("GET", "/configmaps") == 5  # one page, the refusal, three pages

    with faulty_api(admin._transport, page=2) as (api, transport):
        api.rule = lambda seen, before: expired if before % 2 else None

        with pytest.raises(errors.UnexpectedResponse, match="no longer kept"):
            KubeClient(transport).list(CONFIG_MAP, namespace)
        assert api.count("GET", "/configmaps") == 4


def _pod_with_quantities(namespace: str) -> dict[str, Any]:
    container = {"name": "c", "image": "none.invalid/none", "resources": {"requests": {"cpu": "1000m", "memory": "1024Mi"}}, "env": []}
    metadata = {"name": "a", "namespace": namespace, "labels": {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}
