"""Which cluster is meant, what is said when none is, and that asking costs nothing before the first verb."""

import subprocess
import sys
from pathlib import Path

import pytest

from gsv_ops.kube import configuration, errors
from gsv_ops.kube.configuration import Endpoint
from gsv_ops.kube.lazy import LazyKube
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import NAMESPACE

CLUSTER = "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n"
CONTEXT = "contexts: [{name: c, context: {cluster: c, user: u}}]\ncurrent-context: c\n"
USER = "users: [{name: u, user: {token: abc}}]\n"


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No kubeconfig and no ServiceAccount, wherever the tests run."""
    for variable in ("GSV_KUBECONFIG", "KUBECONFIG"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(configuration, "SERVICE_ACCOUNT_TOKEN", tmp_path / "no-token")


def test_no_configuration_at_all() -> None:
    kube: Kube = LazyKube()

    with pytest.raises(errors.NotConfigured, match=r"no cluster is configured: .* name a kubeconfig in GSV_KUBECONFIG"):
        kube.get(NAMESPACE, "default")


def test_a_kubeconfig_that_is_not_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GSV_KUBECONFIG", str(tmp_path / "absent"))

    with pytest.raises(errors.NotConfigured, match=r"kubeconfig .*absent does not exist; correct GSV_KUBECONFIG"):
        LazyKube().list(NAMESPACE)


@pytest.mark.parametrize(
    ("text", "context", "message"),
    [
        ("", None, "cannot be used: Invalid kube-config"),
        ("]: hunter2", None, "cannot be read"),
        ("just text hunter2", None, "cannot be read"),
        (CLUSTER + USER + CONTEXT, "other", "cannot be used: .*other"),
        (CLUSTER + USER, None, "cannot be used: .*Expected key current-context"),
        (CLUSTER + CONTEXT + "users: [{name: u, token: hunter2}]", None, "cannot be used: .*Expected key user"),
        (
            CLUSTER.replace("http:", "https:")
            + CONTEXT
            + "users: [{name: u, user: {client-certificate-data: aHVudGVyMg==, client-key-data: aHVudGVyMg==}}]",
            None,
            "certificates or key cannot be used",
        ),
        (
            CLUSTER.replace("http:", "https:")
            + CONTEXT
            + "users: [{name: u, user: {client-certificate-data: hunter2, client-key-data: hunter2}}]",
            None,
            "cannot be read",
        ),
    ],
)
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, text: str, context: str | None, message: str) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(text)

    with pytest.raises(errors.NotConfigured, match=message) as caught:
        configuration.load(kubeconfig, context)

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_good_kubeconfig(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(CLUSTER + USER + CONTEXT)

    endpoint = configuration.load(kubeconfig, "c")

    assert (endpoint.url, endpoint.host, endpoint.authorization()) == ("http://127.0.0.1:1", "127.0.0.1:1", "Bearer abc")
    assert "abc" not in repr(endpoint)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://u:p@api.example.com", "api.example.com:443"),
        ("http://10.0.0.1:8080/base", "10.0.0.1:8080"),
        ("https://[::1]:6443", "::1:6443"),
    ],
)
def test_the_host_in_messages_has_no_credentials(url: str, host: str) -> None:
    assert Endpoint(url, None).host == host


def test_importing_and_making_a_lazy_kube_loads_no_client_and_reads_nothing() -> None:
    program = (
        "import sys, builtins; from gsv_ops.kube.lazy import LazyKube; from gsv_ops.kube import client, health, objects\n"
        "opened = []; sys.addaudithook(lambda event, args: opened.append(args) if event in ('open', 'socket.connect') else None)\n"
        "LazyKube()\n"
        "assert not opened, opened\n"
        "assert 'kubernetes' not in sys.modules\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)

    assert (result.returncode, result.stderr) == (0, "")
