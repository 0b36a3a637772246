"""exec, logs and ports, against a real kubelet and a pod of busybox.

The sandbox's node has the image of the pod that answers.
"""

import hashlib
import logging
import os
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from gsv_sandbox.state import Paths

from gsv_ops.kube import errors, health, objects
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.protocol import Address, Object
from gsv_ops.kube.resources import NAMESPACE, POD, SERVICE_ACCOUNT

pytestmark = pytest.mark.cluster

IMAGE = os.environ.get("GSV_TEST_BUSYBOX", "localhost/busybox:1.35")
POD_NAME = "streams"
CONTAINER = "box"
BIG = 50 * 1024 * 1024
ECHO, SOURCE, DIGEST, GREETING, CLOSED = 7000, 7001, 7002, 7003, 7999
"""Ports of the pod: gives back what it gets; sends BIG bytes and closes; answers BIG bytes with their digest; greets and closes; nobody."""
LISTEN = "-" + "l" * 64
"""busybox's nc serves on and on from two l on, and takes their number for the length of its accept queue."""
SCRIPT = f"""
echo started
nc {LISTEN} -p {ECHO} -e cat &
nc {LISTEN} -p {SOURCE} -e head -c {BIG} /dev/zero &
nc {LISTEN} -p {DIGEST} -e sh -c 'head -c {BIG} | sha256sum' &
nc {LISTEN} -p {GREETING} -e echo hello &
trap 'exit 0' TERM
while true; do sleep 1; done
"""
SECRET_WORD = "hunter2-correct-horse"


@pytest.fixture(scope="module")
def kube(sandbox: Paths) -> KubeClient:
    """The sandbox's administrator: the desk's own user may not make namespaces."""
    return connect(sandbox.kubeconfig("admin"))


@pytest.fixture(scope="module")
def namespace(kube: KubeClient) -> Iterator[str]:
    """A namespace with the running pod, gone at the end."""
    made = kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"generateName": "gsv-streams-"}})
    name = objects.name(made)
    try:
        kube.wait(SERVICE_ACCOUNT, "default", name, lambda body: body, timeout=30, what="the namespace's ServiceAccount")
        container = {
            "name": CONTAINER,
            "image": IMAGE,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", SCRIPT],
            "resources": {"limits": {"memory": "128Mi"}},
        }
        spec = {"containers": [container], "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}
        kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD_NAME, "namespace": name}, "spec": spec})
        kube.wait(POD, POD_NAME, name, _running, timeout=60, what="the pod to be ready")
        _wait_for_listeners(kube, name)
        yield name
    finally:
        kube.delete(NAMESPACE, name, uid=objects.uid(made))


def _running(body: Object | None) -> bool | None:
    return health.of(body).healthy or None


def _wait_for_listeners(kube: KubeClient, namespace: str) -> None:
    script = f"for i in $(seq 50); do netstat -ltn | grep -q :{GREETING} && exit 0; sleep 0.1; done; exit 1"
    assert kube.exec(namespace, POD_NAME, CONTAINER, ["sh", "-c", script]).code == 0


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and "gsv-ops" in thread.name]
    assert left == []


# exec


def test_exec_gives_both_outputs_and_the_exit_code(kube: KubeClient, namespace: str) -> None:
    result = kube.exec(namespace, POD_NAME, CONTAINER, ["sh", "-c", "echo out; echo 'err é' >&2; exit 7"])

    assert (result.code, result.stdout, result.stderr) == (7, "out\n", "err é\n")
    assert kube.exec(namespace, POD_NAME, CONTAINER, ["true"]).code == 0


def test_exec_passes_words_as_they_are(kube: KubeClient, namespace: str) -> None:
    words = ["a b", "$HOME", "*", "é&x=1", ""]

    assert kube.exec(namespace, POD_NAME, CONTAINER, ["printf", "%s|", *words]).stdout == "".join(f"{word}|" for word in words)


@pytest.mark.parametrize("size", [1, 70_000, 20_000_000])
def test_exec_feeds_stdin_to_its_end_while_it_reads(kube: KubeClient, namespace: str, size: int) -> None:
    text = "abcdefgh\n" * (size // 9 + 1)

    result = kube.exec(namespace, POD_NAME, CONTAINER, ["cat"], stdin=text, timeout=60)

    assert result.code == 0
    assert result.stdout == text


def test_exec_ends_at_its_deadline(kube: KubeClient, namespace: str) -> None:
    started = time.monotonic()

    with pytest.raises(errors.ExecFailed, match="did not end within 1 s, and may still be running"):
        kube.exec(namespace, POD_NAME, CONTAINER, ["sh", "-c", "echo begun; sleep 20"], timeout=1)

    assert time.monotonic() - started < 4


def test_exec_of_what_is_not_there(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(errors.ExecFailed, match=r"could not be run: .*no-such-program"):
        kube.exec(namespace, POD_NAME, CONTAINER, ["no-such-program"])
    with pytest.raises(errors.NotFound, match="it does not exist"):
        kube.exec(namespace, "stream", CONTAINER, ["true"])
    with pytest.raises(errors.StreamFailed, match="container wrong is not valid for pod streams"):
        kube.exec(namespace, POD_NAME, "wrong", ["true"])


def test_exec_leaves_stdin_in_no_log_and_no_error(kube: KubeClient, namespace: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    with pytest.raises(errors.ExecFailed) as caught:
        kube.exec(namespace, POD_NAME, CONTAINER, ["sh", "-c", "cat >/dev/null; sleep 5"], stdin=SECRET_WORD, timeout=1)

    assert SECRET_WORD not in caplog.text + "".join(traceback.format_exception(caught.value))
    assert "Authorization" not in caplog.text


def test_many_execs_at_once(kube: KubeClient, namespace: str) -> None:
    with ThreadPoolExecutor(16) as threads:
        results = threads.map(lambda i: kube.exec(namespace, POD_NAME, CONTAINER, ["echo", str(i)]).stdout, range(48))

    assert list(results) == [f"{i}\n" for i in range(48)]


# logs


def test_logs(kube: KubeClient, namespace: str) -> None:
    assert kube.logs(namespace, POD_NAME, CONTAINER) == "started\n"
    assert kube.logs(namespace, POD_NAME, CONTAINER, tail=0) == ""
    assert kube.logs(namespace, POD_NAME, CONTAINER, limit_bytes=3) == "sta"
    with pytest.raises(errors.StreamFailed, match=r"previous terminated container .* not found"):
        kube.logs(namespace, POD_NAME, CONTAINER, previous=True)
    with pytest.raises(errors.NotFound):
        kube.logs(namespace, "stream", CONTAINER)


# ports


def _connect(address: Address) -> socket.socket:
    return socket.create_connection((address.host, address.port), timeout=30)


def _read_all(connection: socket.socket) -> bytes:
    parts = []
    while data := connection.recv(1 << 18):
        parts.append(data)
    return b"".join(parts)


def test_a_port_is_on_loopback_and_closed_afterwards(kube: KubeClient, namespace: str) -> None:
    with kube.open_port(namespace, POD_NAME, GREETING) as address:
        assert address.host == "127.0.0.1"
        for _ in range(3):
            with _connect(address) as connection:
                assert _read_all(connection) == b"hello\n"  # to the end that the pod made

    with pytest.raises(ConnectionRefusedError):
        _connect(address)


def test_a_big_download_is_whole_and_ends(kube: KubeClient, namespace: str, record_property: Callable[[str, object], None]) -> None:
    with kube.open_port(namespace, POD_NAME, SOURCE) as address, _connect(address) as connection:
        started = time.monotonic()
        data = _read_all(connection)
        record_property("MiB per second", round(BIG / 2**20 / (time.monotonic() - started)))

    assert len(data) == BIG
    assert data.count(0) == BIG


def test_a_big_upload_is_whole_and_is_answered(kube: KubeClient, namespace: str, record_property: Callable[[str, object], None]) -> None:
    data = os.urandom(1 << 20) * (BIG >> 20)
    with kube.open_port(namespace, POD_NAME, DIGEST) as address, _connect(address) as connection:
        started = time.monotonic()
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)  # sent everything; the answer is still to come
        answer = _read_all(connection)
        record_property("MiB per second", round(BIG / 2**20 / (time.monotonic() - started)))

    assert answer.split()[0].decode() == hashlib.sha256(data).hexdigest()


def test_big_data_goes_both_ways_at_once(kube: KubeClient, namespace: str) -> None:
    data = os.urandom(1 << 20) * (BIG >> 20)
    with kube.open_port(namespace, POD_NAME, ECHO) as address, _connect(address) as connection:
        sender = threading.Thread(target=connection.sendall, args=(data,))
        sender.start()
        back = bytearray()
        while len(back) < BIG and (part := connection.recv(1 << 18)):
            back += part
        sender.join()

    assert hashlib.sha256(back).digest() == hashlib.sha256(data).digest()


def test_many_connections_at_once_do_not_mix(kube: KubeClient, namespace: str) -> None:
    def echo(number: int) -> bool:
        data = f"{number:08}".encode() * 20_000
        with _connect(address) as connection:
            sender = threading.Thread(target=connection.sendall, args=(data,))
            sender.start()
            back = bytearray()
            while len(back) < len(data) and (part := connection.recv(65536)):
                back += part
            sender.join()
        return bytes(back) == data

    with kube.open_port(namespace, POD_NAME, ECHO) as address, ThreadPoolExecutor(24) as threads:
        assert all(threads.map(echo, range(48)))


def test_leaving_the_context_ends_open_connections_soon(kube: KubeClient, namespace: str) -> None:
    with kube.open_port(namespace, POD_NAME, ECHO) as address:
        connections = [_connect(address) for _ in range(5)]
        for connection in connections:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
        started = time.monotonic()

    assert time.monotonic() - started < 5
    for connection in connections:
        with connection:
            assert connection.recv(1) == b""


def test_an_exception_leaves_the_context_as_itself(kube: KubeClient, namespace: str) -> None:
    def body() -> None:
        with kube.open_port(namespace, POD_NAME, ECHO) as address, _connect(address) as connection:
            connection.sendall(b"x" * 3_000_000)  # its answer is never read
            raise RuntimeError("of the body")

    with pytest.raises(RuntimeError, match="of the body") as caught:
        body()
    assert not hasattr(caught.value, "__notes__")


def test_a_port_where_nobody_listens_closes_the_connection_and_says_why(
    kube: KubeClient, namespace: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(AssertionError) as caught, kube.open_port(namespace, POD_NAME, CLOSED) as address, _connect(address) as connection:
        assert _read_all(connection) == b"something"

    (note,) = [note for note in caught.value.__notes__ if "open_port" in note]
    assert f'open_port pods "{POD_NAME}" in namespace "{namespace}", port {CLOSED}' in note
    assert "refused" in note
    assert note in caplog.text


def test_a_port_of_a_pod_that_is_not_there(kube: KubeClient, namespace: str) -> None:
    with pytest.raises(errors.NotFound, match="did you mean streams"), kube.open_port(namespace, "stream", ECHO):
        pytest.fail("it must not open")
