"""connection_info as Dagster runs it: names and ways in, whether the way is open, and no value of any Secret, wherever one looks."""

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.database.assets import connecting_to
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations.desk import DeskFactory
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.contract.test_reports import checks, observed
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.database.a_cluster import cluster

HIDDEN = "correct-horse-battery"
LOGIN = {"username": "registry", "password": HIDDEN}
DOOR, SECRET = "read_write_service_leads_to_the_primary", "login_secret_is_there"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    """On the fake alone: a bare API server has no Clusters."""
    kube = FakeKube(custom=[POSTGRES_CLUSTER])
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def made(desk: DeskHere, *, behind: tuple[str, ...] = ("cmp-postgres-1",), login: dict[str, str] | None = LOGIN, **changes: Any) -> None:
    body = cluster(**changes)
    desk.kube.create({**body, "metadata": {"name": "cmp-postgres", "namespace": "cmp"}})
    desk.kube.patch(POSTGRES_CLUSTER, "cmp-postgres", "cmp", {"status": body["status"]}, subresource="status")
    desk.kube.create(slices(behind))
    if login is not None:
        data = {key: base64.b64encode(value.encode()).decode() for key, value in login.items()}
        metadata = {"name": "cmp-postgres-app", "namespace": "cmp"}
        desk.kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})


def slices(pods: tuple[str, ...]) -> Object:
    metadata = {"name": "rw-1", "namespace": "cmp", "labels": {"kubernetes.io/service-name": "cmp-postgres-rw"}}
    endpoints = [{"addresses": ["10.0.0.1"], "targetRef": {"kind": "Pod", "name": pod}} for pod in pods]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": metadata,
        "addressType": "IPv4",
        "endpoints": endpoints,
    }


def look(desk: DeskHere) -> dg.ExecuteInProcessResult:
    report = connecting_to("cmp_postgres")
    factory = DeskFactory(desk.kube, UPath(desk.root / "evidence"))
    definitions = dg.Definitions([report.asset], asset_checks=[report.checks], jobs=[report.job], resources={"desk": factory})
    job = definitions.resolve_job_def("connection_info")
    return job.execute_in_process(instance=desk.instance, raise_on_error=False)


def test_it_says_where_and_how_and_no_value(desk: DeskHere) -> None:
    made(desk)
    ran = look(desk)
    assert ran.success
    assert checks(ran) == {
        DOOR: (True, "the read-write Service leads to cmp-postgres-1"),
        SECRET: (True, "the login is in Secret cmp/cmp-postgres-app"),
    }
    seen = observed(desk, connecting_to("cmp_postgres").asset.key)
    assert seen is not None
    facts = {name: value.value for name, value in seen.metadata.items()}
    assert (facts["host"], facts["port"], facts["database"]) == ("cmp-postgres-rw.cmp.svc", 5432, "agent_registry")
    assert facts["Secret with the login"] == "cmp/cmp-postgres-app"
    assert "kubectl port-forward -n cmp svc/cmp-postgres-rw" in facts["how to open a session"]
    told = desk.everything_told()
    assert HIDDEN not in told
    assert base64.b64encode(HIDDEN.encode()).decode() not in told


@pytest.mark.parametrize(
    ("given", "check", "told"),
    [
        ({"behind": ()}, DOOR, "leads to no instance; expected the primary cmp-postgres-1 alone"),
        ({"behind": ("cmp-postgres-1", "cmp-postgres-2")}, DOOR, "leads to cmp-postgres-1, cmp-postgres-2; expected"),
        ({"status__targetPrimary": "cmp-postgres-2"}, DOOR, "no primary is settled"),
        ({"login": None}, SECRET, "the login is unknown: "),
        ({"login": {"username": "registry"}}, SECRET, "Secret cmp/cmp-postgres-app lacks password"),
    ],
)
def test_a_way_in_that_is_shut_is_red(desk: DeskHere, given: dict[str, Any], check: str, told: str) -> None:
    made(desk, **given)
    judged = checks(look(desk))
    assert {name for name, (passed, _) in judged.items() if not passed} == {check}
    assert told in judged[check][1]


def test_a_cluster_that_is_not_there_is_told_everywhere(desk: DeskHere) -> None:
    ran = look(desk)
    assert not ran.success
    assert set(checks(ran)) == {DOOR, SECRET}
    assert all(not passed and said.startswith("unknown: ") for passed, said in checks(ran).values())
    assert "Run it again: yes; it only reads." in desk.failure(ran)
