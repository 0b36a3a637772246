"""The reports on the real cluster, against what the node's own files, the kubelet and metrics-server say."""

import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from gsv_sandbox.runs import Run
from gsv_sandbox.state import Paths
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import Outside, until

pytestmark = pytest.mark.cluster

PLACE = "reports-here"
IMAGE = "localhost/busybox:1.35"
WRITTEN = 3 * 2**20
WORD = "no such table agents"
HIDDEN = "hunter2-correct-horse"
CRASH = f"echo starting; echo '{WORD}, password={HIDDEN}'; exit 3"
CHATTER = f"yes 0123456789abcdef | head -c {WRITTEN}; sleep 600"
SECONDS = 120


def pod(name: str, script: str) -> dict[str, Any]:
    container = {"name": "app", "image": IMAGE, "command": ["sh", "-c", script], "imagePullPolicy": "IfNotPresent"}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}}, "spec": spec}


def service(name: str, app: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"selector": {"app": app}, "ports": [{"port": 80}]}}


def volume(name: str) -> dict[str, Any]:
    source = {"hostPath": {"path": "/var/empty"}, "capacity": {"storage": "1Mi"}, "accessModes": ["ReadWriteOnce"]}
    claim = {"namespace": PLACE, "name": name}
    policy = {"persistentVolumeReclaimPolicy": "Retain", "storageClassName": "by-hand", "claimRef": claim}
    return {"metadata": {"name": f"{PLACE}-{name}"}, "spec": source | policy}


def claim(name: str) -> dict[str, Any]:
    asks = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "by-hand"}
    return {"metadata": {"name": name}, "spec": asks | {"volumeName": f"{PLACE}-{name}"}}


@pytest.fixture(scope="module")
def place(outside: Outside) -> Iterator[str]:
    """A namespace with a pod that crashes, one that writes much, and things that are and are not in use."""
    core = outside.core
    try:
        core.create_namespace({"metadata": {"name": PLACE}})
        until(lambda: core.list_namespaced_service_account(PLACE).items, 30, "the namespace's ServiceAccount")
        for name in ("in-use", "released"):
            core.create_persistent_volume(volume(name))
            core.create_namespaced_persistent_volume_claim(PLACE, claim(name))
        core.create_namespaced_persistent_volume_claim(PLACE, claim("unbound"))
        for body in (pod("crashes", CRASH), pod("writes", CHATTER)):
            core.create_namespaced_pod(PLACE, body)
        for body in (service("good", "writes"), service("nowhere", "none")):
            core.create_namespaced_service(PLACE, body)
        until(lambda: core.read_persistent_volume(f"{PLACE}-released").status.phase == "Bound", 30, "the volume to be bound")
        core.delete_namespaced_persistent_volume_claim("released", PLACE)
        until(lambda: core.read_persistent_volume(f"{PLACE}-released").status.phase == "Released", 30, "the volume to be released")
        until(lambda: kubelet_bytes(outside) >= WRITTEN, 120, "the kubelet to count what was written")
        until(lambda: usage(outside, "pods", "writes", PLACE), 90, "metrics-server to measure the pod")
        # last: before the third restart and after, the kubelet waits for 40 s and more, in which the page is made
        until(lambda: waits(outside) == "CrashLoopBackOff", 120, "the pod to crash for the third time")
        yield PLACE
    finally:
        for name in ("in-use", "released"):
            with suppress(ApiException):
                core.delete_persistent_volume(f"{PLACE}-{name}")
        with suppress(ApiException):
            core.delete_namespace(PLACE)
        until(lambda: PLACE not in {one.metadata.name for one in core.list_namespace().items}, 90, "the namespace to be gone")


def waits(outside: Outside) -> str:
    statuses = outside.core.read_namespaced_pod("crashes", PLACE).status.container_statuses or []
    return str(statuses[0].state.waiting.reason) if statuses and statuses[0].state.waiting and statuses[0].restart_count >= 2 else ""


def kubelet_bytes(outside: Outside) -> int:
    import ast

    said = outside.core.connect_get_node_proxy_with_path("sandbox", "stats/summary")
    found = [one for one in ast.literal_eval(said)["pods"] if one["podRef"]["name"] == "writes"]
    return int(found[0]["containers"][0].get("logs", {}).get("usedBytes", 0)) if found and found[0].get("containers") else 0


def usage(outside: Outside, plural: str, name: str, namespace: str | None = None) -> Any:
    with suppress(ApiException):
        if namespace:
            return outside.custom.get_namespaced_custom_object("metrics.k8s.io", "v1beta1", namespace, plural, name)
        return outside.custom.get_cluster_custom_object("metrics.k8s.io", "v1beta1", plural, name)
    return None


def on_disk(sandbox: Paths, outside: Outside, name: str) -> int:
    """What the container's log files take, by du on the node."""
    uid = outside.core.read_namespaced_pod(name, PLACE).metadata.uid
    where = sandbox.root / "pod-logs" / f"{PLACE}_{name}_{uid}" / "app"
    done = subprocess.run(["du", "-s", "-B1", str(where)], capture_output=True, text=True, timeout=30, check=True)
    return int(done.stdout.split()[0])


@pytest.fixture(scope="module")
def status(a_desk: ADesk, place: str) -> Run:
    run = a_desk.run("platform_status", seconds=SECONDS)
    assert run.status == "SUCCESS", run.failure
    return run


def test_the_page_says_why_a_pod_crashes_and_its_last_words_but_no_password(status: Run) -> None:
    page = status.observed["platform/status"]["page"]
    assert f"{PLACE}/crashes" in page
    assert "CrashLoopBackOff" in page
    assert "Error, exit code 3" in page
    assert f"    {WORD}, password=..." in page
    assert HIDDEN not in page
    assert f"| {PLACE}/writes | Running" not in page
    check = status.checks["pods_are_well"]
    assert (check["success"], check["severity"]) == (False, "WARN")
    assert f"{PLACE}/crashes" in check["description"]


def test_usage_is_what_metrics_server_says(status: Run, outside: Outside) -> None:
    facts = status.observed["platform/status"]
    reading = usage(outside, "nodes", "sandbox")["usage"]["memory"]
    allocatable = outside.core.read_node("sandbox").status.allocatable["memory"]
    raw = 100 * int(reading.removesuffix("Ki")) / int(allocatable.removesuffix("Ki"))
    assert facts["memory used in percent"] == pytest.approx(raw, abs=8)
    assert status.checks["everything_could_be_read"]["success"]
    assert "| cmp/cmp-postgres | Healthy |" in facts["page"]


def test_log_bytes_are_those_of_the_nodes_files(a_desk: ADesk, sandbox: Paths, outside: Outside, place: str) -> None:
    run = a_desk.run("log_report", seconds=SECONDS)
    assert run.status == "SUCCESS", run.failure
    rows = {row["container"]: row for row in run.observed["platform/logs"]["containers' logs"]}
    row = rows[f"{PLACE}/writes/app"]
    assert row["bytes"] == pytest.approx(on_disk(sandbox, outside, "writes"), abs=64 * 1024)
    assert row["bytes"] >= WRITTEN
    (rotation,) = run.observed["platform/logs"]["rotation"]
    assert (rotation["containerLogMaxSize"], rotation["containerLogMaxFiles"]) == (10 * 2**20, 5)
    assert {check["success"] for check in run.checks.values()} == {True}
    again = a_desk.run("log_report", {"inside_containers": True}, SECONDS)
    rows = {row["container"]: row for row in again.observed["platform/logs"]["containers' logs"]}
    assert isinstance(rows[f"{PLACE}/writes/app"]["bytes an hour"], int)
    assert rows["cnpg-system/" + operator(outside) + "/manager"]["below /var/log inside"].startswith("not known")


def operator(outside: Outside) -> str:
    (pod,) = outside.core.list_namespaced_pod("cnpg-system", label_selector="app.kubernetes.io/name=cloudnative-pg").items
    return str(pod.metadata.name)


def test_the_token_is_nowhere_afterwards(a_desk: ADesk) -> None:
    """Every token of a ServiceAccount begins so: the head of a signed token, in base64."""
    assert a_desk.run("log_report", seconds=SECONDS).status == "SUCCESS"
    holding = [path for path in a_desk.home.rglob("*") if path.is_file() and b"eyJhbGciOiJ" in path.read_bytes()]
    assert holding == []


def test_leftovers_are_found_and_what_is_used_is_not(a_desk: ADesk, place: str) -> None:
    run = a_desk.run("find_leftovers", seconds=SECONDS)
    assert run.status == "SUCCESS", run.failure
    rows = {row["what"]: row for row in run.observed["platform/leftovers"]["left over"]}
    assert "its claim reports-here/released is gone" in rows[f"PersistentVolume {PLACE}-released"]["why"]
    assert rows["Service nowhere"]["why"] == "no pod has its labels app=none"
    assert rows["PersistentVolumeClaim unbound"]["why"] == "it is Pending, and no pod uses it"
    for healthy in ("Service good", f"PersistentVolume {PLACE}-in-use", "PersistentVolumeClaim in-use", "Service cmp-postgres-rw"):
        assert healthy not in rows
    assert run.checks["everything_could_be_read"]["success"]


def test_without_the_setting_it_is_refused_with_what_to_set(a_desk: ADesk, platform_file: Path, tmp_path: Path) -> None:
    body = yaml.safe_load(platform_file.read_text())
    body["environments"]["sandbox"]["overrides"]["reports"]["logs"]["enabled"] = False
    off = tmp_path / "platform.yaml"
    off.write_text(yaml.safe_dump(body, sort_keys=False))
    run = a_desk.command_line("log_report", GSV_PLATFORM_FILE=str(off))
    assert run.status == "FAILURE"
    assert "Next: set reports.logs.enabled: true in platform.yaml" in run.failure


def test_the_reader_is_told_which_right_it_lacks(a_desk: ADesk, desk_environment: dict[str, str]) -> None:
    operator_file = Path(desk_environment["GSV_KUBECONFIG"])
    run = a_desk.command_line("log_report", GSV_KUBECONFIG=str(operator_file.with_name("readonly.yaml")))
    assert run.status == "FAILURE"
    assert 'user "gsv-readonly" may not create serviceaccounts/token in namespace "cmp"' in run.failure
    assert all(check["description"].startswith("unknown: ") for check in run.checks.values())
