"""Whose logs grow: by the kubelets' own numbers, asked by the identity that may, and only where that is enabled."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from upath import UPath

from gsv_ops.kube import errors, resources
from gsv_ops.kube.protocol import ExecResult, Object
from gsv_ops.maintenance.logs import observe, report
from gsv_ops.maintenance.logs.observe import ContainerLog, NodeLogs, Rotation, Simulated
from gsv_ops.maintenance.seen import Unknown
from gsv_ops.operations.operation import Desk, OperationFailed, Table
from gsv_ops.operations.records import Records
from gsv_ops.operations.reporting import Before, Found
from gsv_ops.platform import spec
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.maintenance.report_bodies import NOW, node, pod

SETTINGS = spec.LogReport(enabled=True, rotation_in_git="ansible/kubelet.yaml")
ROTATION = Rotation(10 * 2**20, 5)


def log(name: str, size: int) -> ContainerLog:
    return ContainerLog("n1", "cmp", name, f"uid-{name}", "app", size)


def told(*logs: ContainerLog, disk: int = 10**12, rotation: Rotation | Unknown = ROTATION) -> Found:
    return report.found([NodeLogs("n1", logs, disk, rotation)], report.growth(logs, None, NOW), SETTINGS, NOW)


def checks(found: Found) -> dict[str, bool]:
    return {check.name: check.passed for check in found.checks}


def rows(found: Found) -> list[dict[str, Any]]:
    table = found.facts["containers' logs"]
    assert isinstance(table, Table)
    return [dict(row) for row in table.rows]


def test_the_fastest_growing_is_first_and_not_the_largest() -> None:
    before = {"at": (NOW - timedelta(hours=2)).isoformat(), "bytes": {log("big", 0).key: 9_000, log("fast", 0).key: 1_000}}
    found = report.growth([log("big", 9_100), log("fast", 5_000), log("new", 50)], before, NOW)
    assert [(row.log.pod, row.growth) for row in found] == [("fast", 2000.0), ("big", 50.0), ("new", None)]


def test_at_the_first_look_growth_is_not_zero_but_not_known() -> None:
    found = told(log("a", 10), log("b", 20))
    assert [(row["container"], row["bytes an hour"]) for row in rows(found)] == [("cmp/b/app", "first seen"), ("cmp/a/app", "first seen")]
    assert "bytes an hour" not in found.facts
    assert found.leaves == {"at": NOW.isoformat(), "bytes": {"cmp/uid-a/app": 10, "cmp/uid-b/app": 20}}


def test_a_container_over_what_the_kubelet_should_keep() -> None:
    assert checks(told(log("a", ROTATION.limit))) == {report.KNOWN: True, report.WITHIN: True, report.SHARE: True}
    over = told(log("a", ROTATION.limit + 1))
    assert not checks(over)[report.WITHIN]
    assert "ansible/kubelet.yaml" in str(over.facts["to change it"])
    assert "not looked at here" in str(over.facts["Loki"])


def test_logs_that_take_much_of_a_disk() -> None:
    assert not checks(told(log("a", 11), disk=100))[report.SHARE]
    assert checks(told(log("a", 10), disk=100))[report.SHARE]


def test_what_no_kubelet_told_is_never_good() -> None:
    silent = report.found([Unknown("node n2: no answer")], [], SETTINGS, NOW)
    assert not any(checks(silent).values())
    assert "n2" in silent.summary
    assert "bytes of logs" not in silent.facts
    assert checks(told(log("a", 1), rotation=Unknown("we may not")))[report.KNOWN] is False
    assert not checks(told(log("a", 1), disk=0))[report.SHARE]
    beside = report.found([NodeLogs("n1", (), 100, ROTATION), Simulated("n2")], [], SETTINGS, NOW)
    assert "simulated, so without logs: n2" in beside.summary


@pytest.fixture
def kube() -> FakeKube:
    kube = FakeKube()
    for name in ("cmp", "gsv-ops"):
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    kube.put(node())
    kube.put(pod("web"))
    kube.forbid("get", resources.NODE, subresource="proxy")
    return kube


@pytest.fixture
def desk(kube: FakeKube, tmp_path: Path) -> Desk:
    platform = spec.load()
    enabled = platform.model_copy(update={"reports": platform.reports.model_copy(update={"logs": SETTINGS})})
    return Desk(kube, enabled, "sandbox", "c-1", Records(UPath(tmp_path)), "run", lambda _: None, now=lambda: NOW)


def kubelet(name: str, where: str) -> Object:
    if where == "configz":
        return {"kubeletconfig": {"containerLogMaxSize": "10Mi", "containerLogMaxFiles": 5}}
    container = {"name": "app", "logs": {"usedBytes": 4096}, "rootfs": {"usedBytes": 8192}}
    reference = {"namespace": "cmp", "name": "web", "uid": "uid-web"}
    return {"node": {"fs": {"capacityBytes": 10**9}}, "pods": [{"podRef": reference, "containers": [container, {"name": "new"}]}]}


def account(kube: FakeKube) -> FakeKube:
    kube.put({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "gsv-ops-logs", "namespace": "gsv-ops"}})
    acting = kube.account("gsv-ops", "gsv-ops-logs")
    acting.script(node=kubelet)
    return acting


def test_the_kubelets_are_asked_as_the_account_and_not_as_the_desk(desk: Desk, kube: FakeKube) -> None:
    account(kube)
    found = report.look(desk, report.LogReport(), Before())
    assert set(checks(found).values()) == {True}
    (row,) = rows(found)
    assert (row["container"], row["bytes"], row["its own files"], row["percent of its limit"]) == ("cmp/web/app", 4096, 8192, 0.0)


def test_without_the_setting_nothing_is_asked(desk: Desk) -> None:
    with pytest.raises(OperationFailed, match="not enabled in environment 'sandbox'") as caught:
        report.look(replace(desk, spec=spec.load()), report.LogReport(), Before())
    assert "reports.logs.enabled: true" in caught.value.next_command


def test_without_the_account_it_says_what_to_make(desk: Desk) -> None:
    with pytest.raises(OperationFailed, match="cannot act as ServiceAccount gsv-ops-logs of namespace gsv-ops") as caught:
        report.look(desk, report.LogReport(), Before())
    assert "ClusterRole" in caught.value.next_command


def test_an_account_without_its_right_leaves_the_node_unknown(desk: Desk, kube: FakeKube) -> None:
    account(kube).forbid("get", resources.NODE, subresource="proxy")
    found = report.look(desk, report.LogReport(), Before())
    assert not any(checks(found).values())
    assert 'resources: ["nodes/proxy"], verbs: ["get"]' in found.summary


def test_inside_containers_it_never_fails_for_want_of_a_shell(desk: Desk, kube: FakeKube) -> None:
    account(kube)

    def no_shell(*_: object) -> ExecResult:
        raise errors.ExecFailed("no such program: du")

    for script, inside in (
        (lambda *_: ExecResult(1, "12\t/var/log\n", "du: cannot read"), 12 * 1024),
        (no_shell, "not known: ExecFailed; it may have no du"),
        (lambda *_: ExecResult(127, "", "not found"), "not known: du told nothing"),
    ):
        kube.script(exec=script)
        (row,) = rows(report.look(desk, report.LogReport(inside_containers=True), Before()))
        assert row["below /var/log inside"] == inside


def test_the_time_for_all_containers_is_bounded(kube: FakeKube) -> None:
    kube.script(exec=lambda *_: ExecResult(0, "4\t/var/log", ""))
    clock = iter([0.0, 0.0, observe.ALL_ENTERED_SECONDS + 1])
    found = observe.enter(kube, [log("web", 1), log("web2", 1)], lambda: next(clock))
    assert list(found.values()) == [4096, "not looked at: the time for all of them was up"]
