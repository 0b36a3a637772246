"""What an operator is told who may not, who is not known, or whose cluster is not there; and what nobody is ever told."""

import base64
import logging
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from gsv_ops.kube import errors, objects
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.configuration import Endpoint
from gsv_ops.kube.lazy import LazyKube
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import CONFIG_MAP, NAMESPACE, NODE, SECRET
from gsv_ops.kube.transport import Limits, Transport
from gsv_ops_tests.contract.bodies import config_map, secret
from gsv_ops_tests.contract.conftest import Cluster

pytestmark = pytest.mark.control_plane

VALUE = "hunter2-correct-horse"
ENCODED = base64.b64encode(VALUE.encode()).decode()


def test_the_rule_that_a_denial_names_is_the_one_that_grants(admin: KubeClient, restricted: Kube, namespace: str) -> None:
    body = config_map(namespace, "a", x="1")
    container = {"name": "c", "image": "none.invalid/none"}
    pod_metadata = {"name": "p", "namespace": namespace}
    admin.create({"apiVersion": "v1", "kind": "Pod", "metadata": pod_metadata, "spec": {"containers": [container]}})
    attempts: list[Callable[[], object]] = [
        lambda: restricted.apply(body),
        lambda: restricted.list(CONFIG_MAP, namespace),
        lambda: restricted.wait(CONFIG_MAP, "a", namespace, lambda seen: seen, timeout=5, what="its presence"),
        lambda: _begin_exec(restricted, namespace),
    ]
    rules: set[str] = set()
    for attempt in attempts:
        # An apply that creates needs two rights, one after the other; so does a stream.
        for _ in range(3):
            try:
                attempt()
                break
            except errors.Forbidden as denial:
                rules.add(denial.rule)
                _grant(admin, namespace, rules)
        else:
            pytest.fail(f"still forbidden with {rules}")
    assert len(rules) >= 5


def test_unknown_credentials_are_not_accepted_and_never_shown(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    good = cluster.restricted.read_text()
    token = good.split('"token": "')[1].split('"')[0]
    kubeconfig.write_text(good.replace(token, VALUE))

    with pytest.raises(errors.Unauthorized, match="does not accept our credentials; expected a valid token") as caught:
        connect(kubeconfig).list(NODE)

    assert VALUE not in "".join(traceback.format_exception(caught.value))
    assert caught.value.status == 401


def test_a_server_that_is_away_is_reported_within_the_limits(cluster: Cluster, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    kubeconfig = _moved(cluster.admin, tmp_path, port)
    started = time.monotonic()

    with pytest.raises(errors.Unavailable, match=rf"no answer from the API server at 127.0.0.1:{port} \(Connection refused; 6 attempts"):
        connect(kubeconfig).get(NAMESPACE, "default")

    assert time.monotonic() - started < 15


def test_a_server_that_says_nothing_is_reported_within_the_limits() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = Endpoint(url=f"http://secret-user:secret-word@127.0.0.1:{mute.getsockname()[1]}", tls=None)
        kube = KubeClient(Transport(endpoint, Limits(read=0.3, total=1.0)))
        started = time.monotonic()

        with pytest.raises(errors.Unavailable, match=r"timed out; \d attempts .* it took the connection and then said nothing") as caught:
            kube.get(NAMESPACE, "default")

    assert time.monotonic() - started < 3
    assert "secret-" not in str(caught.value)


def test_a_server_of_another_authority_is_not_trusted_and_not_asked_again(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    text = cluster.admin.read_text()
    authority = text.split('"certificate-authority-data": "')[1].split('"')[0]
    certificate = text.split('"client-certificate-data": "')[1].split('"')[0]
    kubeconfig.write_text(text.replace(authority, certificate))

    with pytest.raises(errors.Unavailable, match=r"1 attempt in .* is it the right cluster"):
        connect(kubeconfig).get(NAMESPACE, "default")


def test_keys_of_a_kubeconfig_are_in_no_file_once_it_is_read(cluster: Cluster) -> None:
    before = _temporary_files()

    connect(cluster.admin).get(NAMESPACE, "default")
    connect(cluster.admin).get(NAMESPACE, "default")  # the library remembers the files of the first time

    assert _temporary_files() - before == set()


def test_a_lazy_kube_connects_at_its_first_verb(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    kube = LazyKube(kubeconfig_env=("GSV_TEST_A", "GSV_TEST_B"))
    monkeypatch.setenv("GSV_TEST_A", "")
    monkeypatch.setenv("GSV_TEST_B", str(cluster.admin))

    assert objects.name(kube.get(NAMESPACE, "default")) == "default"


def test_a_lazy_kube_reads_its_credentials_anew_after_they_were_refused(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    good = cluster.restricted.read_text()
    kubeconfig.write_text(good.replace('"token": "', '"token": "stale'))
    monkeypatch.setenv("GSV_TEST_A", str(kubeconfig))
    kube = LazyKube(kubeconfig_env=("GSV_TEST_A",))
    with pytest.raises(errors.Unauthorized):
        kube.list(NODE)

    kubeconfig.write_text(good)

    with pytest.raises(errors.Forbidden):  # known now
        kube.list(NODE)


@pytest.mark.parametrize("logger_level", [logging.DEBUG])
def test_a_secrets_value_is_in_no_log_and_no_error(
    kube: Kube, namespace: str, logger_level: int, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logger_level)
    for name in ("kubernetes", "kubernetes.client.rest", "urllib3", "websocket", "gsv_ops"):
        caplog.set_level(logger_level, name)
    told: list[str] = []

    made = kube.create(secret(namespace, "s", password=VALUE))
    assert made["data"]["password"] == ENCODED
    kube.get(SECRET, "s", namespace)
    kube.list(SECRET, namespace)
    kube.patch(SECRET, "s", namespace, {"stringData": {"other": VALUE}})
    kube.wait(SECRET, "s", namespace, lambda body: body, timeout=5, what="the secret")
    for attempt in _refused(kube, namespace):
        with pytest.raises(errors.KubeError) as caught:
            attempt()
        assert not isinstance(caught.value, errors.Unavailable)
        told.append("".join(traceback.format_exception(caught.value)) + repr(vars(caught.value)))

    output = capfd.readouterr()
    everything = "\n".join([caplog.text, output.out, output.err, *told])
    assert "GET /api" in caplog.text  # it was listening
    assert VALUE not in everything
    assert ENCODED not in everything


def _refused(kube: Kube, namespace: str) -> list[Callable[[], object]]:
    """Writes of Secrets that the server refuses, each by another part of it; to some it answers with the whole Secret."""
    bare = secret(namespace, "s")
    return [
        lambda: kube.create(secret(namespace, "s", password=VALUE)),  # exists
        lambda: kube.create(secret(namespace + "x", "s", password=VALUE)),  # no such namespace
        lambda: kube.create(secret(namespace, "Bad_Name", password=VALUE)),
        lambda: kube.create(secret(namespace, "t") | {"data": {"password": VALUE}}),  # not base64
        lambda: kube.create(secret(namespace, "t") | {"stringData": {"password": {"nested": VALUE}}}),
        lambda: kube.create(secret(namespace, "t", password=VALUE) | {"type": "kubernetes.io/tls"}),
        lambda: kube.create(
            secret(namespace, "t") | {"stringData": {".dockerconfigjson": VALUE}, "type": "kubernetes.io/dockerconfigjson"}
        ),
        lambda: kube.apply(bare | {"data": {"password": [VALUE]}}),
        lambda: kube.apply(bare | {"data": {"password": VALUE}}),
        lambda: kube.apply(bare | {"stringData": VALUE}),
        lambda: kube.patch(SECRET, "s", namespace, {"data": {"other": [VALUE]}}),
        lambda: kube.patch(SECRET, "s", namespace, {"data": {"other": VALUE}}),
        lambda: kube.patch(SECRET, "s", namespace, {"data": VALUE}, kind="strategic"),
        lambda: kube.patch(SECRET, "s", namespace, [{"op": "test", "path": "/data/password", "value": VALUE}], kind="json"),
    ]


def _begin_exec(kube: Kube, namespace: str) -> None:
    """An exec that is let through, to a pod that no node will ever run."""
    with pytest.raises(errors.StreamFailed, match="does not have a host assigned"):
        kube.exec(namespace, "p", "c", ["true"])


def _grant(admin: KubeClient, namespace: str, rules: set[str]) -> None:
    """Exactly those rules, read from the messages as an operator would paste them."""
    import yaml

    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "granted", "namespace": namespace}}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "granted", "namespace": namespace},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "granted"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "restricted"}],
    }
    admin.apply(role | {"rules": [yaml.safe_load(rule) for rule in sorted(rules)]}, force=True)
    admin.apply(binding, force=True)
    time.sleep(1)  # the authorizer learns of it through its own watch


def _moved(kubeconfig: Path, directory: Path, port: int) -> Path:
    text = kubeconfig.read_text()
    server = text.split('"server": "')[1].split('"')[0]
    moved = directory / "kubeconfig"
    moved.write_text(text.replace(server, f"https://127.0.0.1:{port}"))
    return moved


def _temporary_files() -> set[Path]:
    import tempfile

    places = [Path(tempfile.gettempdir()), Path("/dev/shm")]  # noqa: S108
    return {path for place in places if place.is_dir() for path in place.iterdir() if path.name.startswith(("tmp", "gsv-ops-"))}
