"""What `wait` promises: every change is seen, the deadline holds, and a timeout says why."""

import threading
import time
from collections.abc import Callable

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP, POD
from gsv_ops_tests.contract.bodies import config_map, value


def test_what_is_so_already_is_found_at_once(kube: Kube, namespace: str) -> None:
    made = kube.create(config_map(namespace, "a", x="1"))

    found = kube.wait(CONFIG_MAP, "a", namespace, value("1"), timeout=0.5, what="x to be 1")

    assert found == made


def test_a_change_is_seen_soon(kube: Kube, namespace: str, later: Callable[..., None]) -> None:
    kube.create(config_map(namespace, "a", x="1"))
    changed: list[float] = []

    def change() -> None:
        changed.append(time.monotonic())
        kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": "2"}})

    later(0.2, change)

    kube.wait(CONFIG_MAP, "a", namespace, value("2"), timeout=10, what="x to be 2")

    assert time.monotonic() - changed[0] < 0.5


def test_creation_and_deletion_are_seen(kube: Kube, namespace: str, later: Callable[..., None]) -> None:
    later(0.2, lambda: kube.create(config_map(namespace, "a")))
    made = kube.wait(CONFIG_MAP, "a", namespace, lambda body: body, timeout=10, what="a to exist")
    assert (made["kind"], objects.name(made)) == ("ConfigMap", "a")

    later(0.2, lambda: kube.delete(CONFIG_MAP, "a", namespace, uid=objects.uid(made)))
    assert kube.wait(CONFIG_MAP, "a", namespace, lambda body: True if body is None else None, timeout=10, what="a to go") is True


def test_every_change_is_shown_once_and_in_order(kube: Kube, namespace: str, later: Callable[..., None]) -> None:
    kube.create(config_map(namespace, "a", x="0"))
    kube.create(config_map(namespace, "b", x="0"))
    shown: list[str] = []

    def note(body: Object | None) -> bool | None:
        shown.append(objects.at(body, "data", "x"))
        return True if shown[-1] == "20" else None

    def change() -> None:
        for number in range(1, 21):
            kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": str(number)}})
            kube.patch(CONFIG_MAP, "b", namespace, {"data": {"x": str(number)}})

    later(0.2, change)
    kube.wait(CONFIG_MAP, "a", namespace, note, timeout=10, what="20")

    assert shown == [str(number) for number in range(21)]


def test_until_may_give_up_early(kube: Kube, namespace: str) -> None:
    kube.create(config_map(namespace, "a"))

    def refuse(body: Object | None) -> None:
        raise RuntimeError("it failed for good")

    with pytest.raises(RuntimeError, match="for good"):
        kube.wait(CONFIG_MAP, "a", namespace, refuse, timeout=10, what="never")


def test_a_timeout_quotes_conditions_and_the_newest_events(kube: Kube, namespace: str) -> None:
    container = {"name": "c", "image": "none.invalid/none"}
    pod = kube.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": namespace}, "spec": {"containers": [container]}}
    )
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/0 nodes are available"}
    kube.patch(POD, "p", namespace, {"status": {"conditions": [condition]}}, subresource="status")
    for number in range(7):
        kube.create(_event(pod, number))
    started = time.monotonic()

    with pytest.raises(errors.WaitTimeout) as caught:
        kube.wait(POD, "p", namespace, lambda body: None, timeout=1.0, what="the pod to run")

    assert 1.0 <= time.monotonic() - started < 2.5
    error = caught.value
    assert error.what == "the pod to run"
    assert error.conditions == ("PodScheduled=False (Unschedulable: 0/0 nodes are available)",)
    assert [event.split()[-1] for event in error.events] == ["2", "3", "4", "5", "6"]
    assert f'pods "p" in namespace "{namespace}": the pod to run did not come about within 1 s' in str(error)
    assert error.conditions[0] in str(error)
    assert "Warning FailedScheduling: attempt 6" in str(error)
    assert f"kubectl describe pods p --namespace {namespace}" in str(error)


def test_a_timeout_for_what_never_existed_says_so(kube: Kube, namespace: str) -> None:
    with pytest.raises(errors.WaitTimeout, match="the object does not exist"):
        kube.wait(CONFIG_MAP, "a", namespace, lambda body: body, timeout=0.3, what="a")


def test_the_deadline_holds_while_changes_keep_coming(kube: Kube, namespace: str, later: Callable[..., None]) -> None:
    kube.create(config_map(namespace, "a", x="0"))
    busy = threading.Event()

    def keep_changing() -> None:
        for number in range(200):
            if busy.wait(0.02):
                return
            kube.patch(CONFIG_MAP, "a", namespace, {"data": {"x": str(number)}})

    later(0.0, keep_changing)
    started = time.monotonic()
    try:
        with pytest.raises(errors.WaitTimeout):
            kube.wait(CONFIG_MAP, "a", namespace, value("never"), timeout=1.0, what="x to be never")
    finally:
        busy.set()

    assert time.monotonic() - started < 2.5


def test_a_wait_that_may_not_watch_is_forbidden_at_once(restricted: Kube, namespace: str) -> None:
    started = time.monotonic()

    with pytest.raises(errors.Forbidden, match="may not list configmaps"):
        restricted.wait(CONFIG_MAP, "a", namespace, value("1"), timeout=30, what="x to be 1")

    assert time.monotonic() - started < 5


def _event(pod: Object, number: int) -> Object:
    about = {"kind": "Pod", "name": "p", "namespace": objects.namespace(pod), "uid": objects.uid(pod)}
    moment = f"2026-11-24T10:00:0{number}Z"
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"p.{number}", "namespace": objects.namespace(pod)},
        "involvedObject": about,
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": f"attempt {number}",
        "firstTimestamp": moment,
        "lastTimestamp": moment,
    }
