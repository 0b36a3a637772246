"""A report as Dagster runs it: it observes its asset, judges its checks, and turns them red with the reason when it cannot look."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.kube import objects, resources
from gsv_ops.kube.protocol import Kube
from gsv_ops.maintenance.assets import LEFTOVERS, LOGS, REPORTS, STATUS
from gsv_ops.operations.desk import DeskFactory
from gsv_ops_tests.contract.bodies import pod
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.fake_kube import FakeKube


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def look(desk: DeskHere, job: str, kube: Kube | None = None, **config: Any) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        assets=[report.asset for report in REPORTS],
        asset_checks=[report.checks for report in REPORTS],
        jobs=[report.job for report in REPORTS],
        resources={"desk": DeskFactory(kube or desk.kube, UPath(desk.root / "evidence"))},
    )
    return definitions.resolve_job_def(job).execute_in_process(config, instance=desk.instance, raise_on_error=False)


def checks(ran: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    found = {}
    for event in ran.all_events:
        if event.event_type_value == "ASSET_CHECK_EVALUATION":
            evaluation = event.asset_check_evaluation_data
            found[evaluation.check_name] = (evaluation.passed, str(evaluation.description))
    return found


def observed(desk: DeskHere, key: dg.AssetKey) -> dg.AssetObservation | None:
    records = desk.instance.fetch_observations(key, limit=1).records
    return records[0].asset_observation if records else None


def test_it_observes_the_asset_and_judges_it(desk: DeskHere, kube: Kube, namespace: str) -> None:
    kube.create(pod(namespace, "p"))
    ran = look(desk, "platform_status")
    assert ran.success
    seen = observed(desk, STATUS.asset.key)
    assert seen is not None
    assert f"{namespace}/p" in str(seen.metadata["page"].value)
    judged = checks(ran)
    assert judged["databases_are_healthy"] == (True, "none: postgresql.cnpg.io is not installed")
    assert judged["everything_could_be_read"][0]
    assert not judged["nodes_are_ready"][0]  # a bare API server has none


def test_it_shows_the_last_run_of_each_job(desk: DeskHere) -> None:
    first = look(desk, "find_leftovers")
    look(desk, "platform_status")
    seen = observed(desk, STATUS.asset.key)
    assert seen is not None
    assert f"| find_leftovers | [success](/runs/{first.run_id}) |" in str(seen.metadata["page"].value)
    assert "platform_status" not in str(seen.metadata["page"].value)  # the run that writes the page


def test_who_may_see_nothing_is_told_so_everywhere(desk: DeskHere, restricted: Kube, kube: Kube) -> None:
    ran = look(desk, "platform_status", restricted)
    assert not ran.success  # not even whether this is the right cluster can be known
    assert len(checks(ran)) == 5
    for passed, said in checks(ran).values():
        assert not passed
        assert said.startswith("unknown: ")
        assert '"restricted" may not get namespaces' in said
    assert "Run it again: yes; it only reads." in desk.failure(ran)
    assert observed(desk, STATUS.asset.key) is None


def test_another_cluster_is_not_shown_as_this_one(desk: DeskHere, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSV_CLUSTER_IDENTITY", "another")
    ran = look(desk, "find_leftovers")
    assert not ran.success
    assert all("this is not the cluster of environment" in said for _, said in checks(ran).values())
    assert observed(desk, LEFTOVERS.asset.key) is None


def test_what_one_look_leaves_the_next_one_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the fake alone: a bare API server has no kubelet."""
    kube = FakeKube()
    with desk_here(kube, tmp_path, monkeypatch) as desk:
        _twice(desk, kube)


def _twice(desk: DeskHere, kube: FakeKube) -> None:
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gsv-ops-logs", "namespace": "cmp"}})
    kube.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
    sizes = iter([1000, 1600])

    def kubelet(node: str, where: str) -> dict[str, Any]:
        if where == "configz":
            return {"kubeletconfig": {"containerLogMaxSize": "1Mi", "containerLogMaxFiles": 2}}
        reference = {"namespace": "cmp", "name": "p", "uid": "u"}
        container = {"name": "c", "logs": {"usedBytes": next(sizes)}}
        return {"node": {"fs": {"capacityBytes": 10**9}}, "pods": [{"podRef": reference, "containers": [container]}]}

    kube.account("cmp", "gsv-ops-logs").script(node=kubelet)
    assert look(desk, "log_report").success
    assert "bytes an hour" not in observed(desk, LOGS.asset.key).metadata  # type: ignore[union-attr]
    assert look(desk, "log_report").success
    grown = observed(desk, LOGS.asset.key).metadata["bytes an hour"].value  # type: ignore[union-attr]
    assert isinstance(grown, int)
    assert grown > 0


def test_a_bad_configuration_makes_no_run(desk: DeskHere) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError):
        look(desk, "log_report", inside_containers="yes please")
    assert desk.instance.get_runs() == []


def test_the_button_beside_a_check_looks_too(desk: DeskHere, kube: Kube) -> None:
    assert objects.uid(kube.get(resources.NAMESPACE, "kube-system"))
    definitions = dg.Definitions(
        assets=[LEFTOVERS.asset], asset_checks=[LEFTOVERS.checks], resources={"desk": DeskFactory(kube, UPath(desk.root / "evidence"))}
    )
    ran = definitions.resolve_implicit_global_asset_job_def().execute_in_process(instance=desk.instance, raise_on_error=False)
    assert ran.success
    assert set(checks(ran)) == {"nothing_is_left_over", "everything_could_be_read"}
