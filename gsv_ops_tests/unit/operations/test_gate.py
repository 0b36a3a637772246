"""When a schedule or a sensor may act: what is said when it may not, and that nothing is asked of a cluster that is not this desk's."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from gsv_ops.kube.errors import Unavailable
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations import gate, lease
from gsv_ops.operations.desk import DeskFactory

HERE = "5bb2a9a2-6a0c-4f0e-9d0a-000000000001"
NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)


class Answering:
    """A cluster of which only `get` answers, with what the test says."""

    def __init__(self, answer: Callable[[], Object]) -> None:
        self.answer = answer

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        return self.answer()

    def __getattr__(self, verb: str) -> NoReturn:
        raise AssertionError(f"{verb} was used")


def nothing() -> Object:
    raise AssertionError("the cluster was asked")


def away() -> Object:
    raise Unavailable("the API server at 127.0.0.1:1 did not answer")


def silent() -> Object:
    time.sleep(3)
    raise AssertionError("nobody waits for this")


def broken() -> Object:
    raise ZeroDivisionError("of ours")


@pytest.mark.parametrize(
    ("environment", "identity", "answer", "said"),
    [
        ("", HERE, nothing, "sweep was not started: GSV_ENVIRONMENT is not set"),
        ("prod", HERE, nothing, "sweep was not started: environment 'prod' has automation: false"),
        ("moon", HERE, nothing, "'moon' is not in platform.yaml"),
        ("sandbox", HERE, lambda: {"metadata": {"uid": "another"}}, "this is not the cluster of environment 'sandbox'"),
        ("sandbox", "", lambda: {"metadata": {"uid": HERE}}, "bound to no cluster yet"),
        ("sandbox", HERE, away, "sweep was not started: the API server at 127.0.0.1:1 did not answer"),
        ("sandbox", HERE, silent, "gave no answer within 0 s"),
        ("sandbox", HERE, broken, "unexpected ZeroDivisionError"),
    ],
)
def test_what_stops_a_desk_from_acting_by_itself(
    environment: str, identity: str, answer: Callable[[], Object], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSV_ENVIRONMENT", environment)
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", identity)
    monkeypatch.setattr(gate, "SECONDS", 0.3)
    kube: Any = Answering(answer)
    assert said in gate.why_not(DeskFactory(kube), "sweep", NOW)


def test_two_desks_of_one_machine_have_two_names_and_the_processes_of_one_have_one() -> None:
    one, again, other = (lease.identity("prod", {"DAGSTER_HOME": home}) for home in ("/srv/a", "/srv/b/../a", "/srv/b"))
    assert one == again != other
    assert one.startswith("prod/")
