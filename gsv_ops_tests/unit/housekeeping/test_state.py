"""Whether the desk is frozen: asked of its own cluster, and unknown where another one answers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from gsv_ops.housekeeping import state
from gsv_ops.kube.protocol import Object, Resource
from gsv_ops.operations.desk import DeskFactory

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class NothingFrozen:
    """A cluster without any Lease."""

    def get(self, resource: Resource, name: str) -> Object:
        assert (resource.kind, name) == ("Namespace", "kube-system")
        return {"metadata": {"uid": "this-one"}}

    def list(self, resource: Resource, namespace: str, *, fields: str) -> list[Object]:
        assert resource.kind == "Lease"
        return []


@pytest.mark.parametrize(
    ("environment", "identity", "holds", "told"),
    [
        ("sandbox", "this-one", True, "no freeze holds"),
        ("sandbox", "another", False, "is not known: this is not the cluster of environment 'sandbox'"),
        ("", "", False, "is not known: GSV_ENVIRONMENT is not set"),
    ],
)
def test_that_nothing_is_frozen_is_only_said_of_the_desks_own_cluster(
    environment: str, identity: str, holds: bool, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSV_ENVIRONMENT", environment)
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", identity)
    kube: Any = NothingFrozen()
    check = state.check(state.look(DeskFactory(kube), NOW))
    assert check.passed is holds
    assert told in check.description
