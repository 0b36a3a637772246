"""A patch of an object's status, as a promotion makes it: exactly the planned object's, and only while it is what was relied on."""

from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import POD
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.plan import Action, Target
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.contract.bodies import pod


class Interrupted:
    """A Kube on which somebody else writes the object's status right before our patch of it."""

    def __init__(self, kube: Kube) -> None:
        self._kube = kube

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kube, name)

    def patch(self, resource: Any, name: str, namespace: str, body: Any, **rest: Any) -> Object:
        self._kube.patch(resource, name, namespace, {"status": {"message": "by somebody else"}}, subresource="status")
        return self._kube.patch(resource, name, namespace, body, **rest)


def patched(kube: Any, namespace: str, found: Object, tmp_path: Path) -> tuple[Object, Journal]:
    desk = Desk(kube, spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)
    journal = Journal.open(desk.records, "an_operation", "the-run")
    target = Target(POD.api_version, POD.kind, "p", namespace, objects.uid(found))
    action = Action("patch", target, "", {"status.phase": "Pending"}, {"status": {"phase": "Failed"}})
    stamped = {"status": {"phase": "Failed", "reason": "Promoted"}}
    return apply.patch(desk, action, journal, subresource="status", body=lambda _: stamped), journal


def test_only_the_status_is_written(kube: Kube, namespace: str, tmp_path: Path) -> None:
    found = kube.create(pod(namespace, "p"))
    changed, journal = patched(kube, namespace, found, tmp_path)
    assert (changed["status"]["phase"], changed["status"]["reason"]) == ("Failed", "Promoted")
    assert changed["spec"] == found["spec"]
    assert [(outcome.verb, outcome.result) for outcome in journal.outcomes] == [("patch", "done")]


def test_what_was_relied_on_and_has_moved_is_left_alone(kube: Kube, namespace: str, tmp_path: Path) -> None:
    found = kube.create(pod(namespace, "p"))
    kube.patch(POD, "p", namespace, {"status": {"phase": "Running"}}, subresource="status")
    with pytest.raises(ClusterMovedOn, match=r"status\.phase was 'Pending', is 'Running'"):
        patched(kube, namespace, found, tmp_path)
    assert at(kube.get(POD, "p", namespace), "status", "reason") is None


def test_a_status_that_moves_in_the_moment_of_the_patch_is_left_alone(kube: Kube, namespace: str, tmp_path: Path) -> None:
    found = kube.create(pod(namespace, "p"))
    with pytest.raises(ClusterMovedOn, match="changed in the moment of the change"):
        patched(Interrupted(kube), namespace, found, tmp_path)
    status = kube.get(POD, "p", namespace)["status"]
    assert (status["phase"], status["message"]) == ("Pending", "by somebody else")
