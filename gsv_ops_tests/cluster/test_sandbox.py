"""The running sandbox: what its identities may do, that nothing leaves the machine, and that `up` finds all as it was."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest
from gsv_sandbox.api import Api
from gsv_sandbox.state import Paths
from kubernetes.client.exceptions import ApiException

from gsv_ops_tests.cluster.sandbox_state import component_pids, gsv_sandbox

pytestmark = pytest.mark.cluster

# Addresses that documentation may use and no one may have (RFC 5737): a packet there shows only that it was let out.
NOWHERE = "198.51.100.1"
ATTEMPT = f"""
import socket, time
begun = time.monotonic()
try:
    socket.create_connection(("{NOWHERE}", 443), timeout=10)
except OSError as error:
    print(error.errno, time.monotonic() - begun < 3)
"""


@pytest.fixture(scope="module")
def paths(sandbox: Paths) -> Paths:
    return sandbox


def status(paths: Paths, identity: str, path: str) -> int:
    try:
        Api(paths.kubeconfig(identity)).request("GET", path)
    except ApiException as error:
        return int(error.status)
    return 200


@pytest.mark.parametrize(
    ("identity", "path", "expected"),
    [
        ("operator", "/api/v1/namespaces/cmp/secrets/cmp-postgres-app", 200),
        ("operator", "/api/v1/namespaces/cmp/secrets", 403),
        ("operator", "/api/v1/namespaces/kube-system/secrets/any", 403),
        ("operator", "/apis/postgresql.cnpg.io/v1/namespaces/cmp/clusters/cmp-postgres", 200),
        ("operator", "/apis/barmancloud.cnpg.io/v1/namespaces/cmp/objectstores", 200),
        ("operator", "/api/v1/nodes", 200),
        ("operator", "/api/v1/nodes/sandbox/proxy/stats/summary", 403),
        ("operator", "/apis/metrics.k8s.io/v1beta1/nodes", 200),
        ("readonly", "/apis/metrics.k8s.io/v1beta1/pods", 200),
        ("readonly", "/api/v1/namespaces/cmp/secrets/cmp-postgres-app", 403),
        ("readonly", "/apis/postgresql.cnpg.io/v1/clusters", 200),
    ],
)
def test_an_identity_reads_what_it_needs_and_no_more(paths: Paths, identity: str, path: str, expected: int) -> None:
    assert status(paths, identity, path) == expected


def test_the_reader_cannot_write(paths: Paths) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    with pytest.raises(ApiException) as caught:
        Api(paths.kubeconfig("readonly")).request("POST", "/api/v1/namespaces/cmp/configmaps", body)
    assert caught.value.status == 403


def test_a_pods_packet_to_elsewhere_is_refused_on_this_machine(paths: Paths) -> None:
    argv = ["kubectl", "--kubeconfig", str(paths.kubeconfig("admin")), "-n", "cmp", "exec", "cmp-postgres-1"]
    try:
        done = subprocess.run(
            [*argv, "-c", "postgres", "--", "python3", "-c", ATTEMPT], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip("kubectl is not installed: a look from outside our own code is what this test is")
    # 113 is EHOSTUNREACH: the wall's answer, at once. A packet that was let out would have no answer at all.
    assert done.stdout.split() == ["113", "True"], done.stderr


def test_services_that_do_not_exist_are_not_looked_for_elsewhere() -> None:
    route = json.loads(subprocess.run(["ip", "-json", "route", "get", "10.96.200.1"], capture_output=True, check=True).stdout)
    assert route[0]["dev"] == "gsv0"


def test_up_on_a_running_sandbox_returns_in_seconds_and_restarts_nothing(paths: Paths) -> None:
    gsv_sandbox("up")  # whatever a test before this one left is mended first
    before, begun = component_pids(paths), time.monotonic()
    gsv_sandbox("up")
    assert time.monotonic() - begun < 15
    assert component_pids(paths) == before
    assert None not in before.values()


def test_no_secret_is_in_any_process_arguments(paths: Paths) -> None:
    keys = json.loads((paths.run / "s3-keys.json").read_text())
    arguments = b"".join(file.read_bytes() for file in Path("/proc").glob("[0-9]*/cmdline") if file.parent.name != str(os.getpid()))
    assert b"kube-apiserver" in arguments
    assert keys["secret"].encode() not in arguments
