"""What is really in the object store, asked of a real S3 server on loopback."""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
import traceback
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, cast

import boto3
import pytest
from botocore.config import Config

from gsv_ops.database import barman_store
from gsv_ops.database.barman_store import BarmanStore, BaseBackup, StoreUnreadable, configuration_of, open_store
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops_tests.control_plane import binaries
from gsv_ops_tests.unit.database.a_cluster import OBJECT_STORE, cluster

CANARY = "canary-7f3a-" + secrets.token_hex(8)
ACCESS = "barman"
BUCKET = "backups"
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the sandbox's S3 server over a folder of this run's."""
    programs = binaries()
    program = programs / "s3" if programs else None
    if program is None or not os.access(program, os.X_OK):
        message = "no S3 server: build it with `gsv-sandbox up`, or name its directory in GSV_SANDBOX_BIN"
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with socket.create_server((LOOPBACK, 0)) as free:
        port = free.getsockname()[1]
    root = tmp_path_factory.mktemp("s3")
    environ = {"PATH": os.environ["PATH"], "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": CANARY}
    tied = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
    command = [*tied, str(program), "-address", f"{LOOPBACK}:{port}", "-root", str(root)]
    with (root.parent / "s3.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environ)
    try:
        deadline = time.monotonic() + 30
        while True:
            with suppress(OSError), socket.create_connection((LOOPBACK, port), 1):
                break
            assert process.poll() is None, (root.parent / "s3.log").read_text()
            assert time.monotonic() < deadline, "the S3 server does not listen"
            time.sleep(0.05)
        yield f"http://{LOOPBACK}:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def put(gateway: str) -> Any:
    """put(key, bytes): an object in the bucket."""
    client = boto3.client(
        "s3",
        endpoint_url=gateway,
        region_name="us-east-1",
        aws_access_key_id=ACCESS,
        aws_secret_access_key=CANARY,
        config=Config(s3={"addressing_style": "path"}, max_pool_connections=16),
    )
    client.create_bucket(Bucket=BUCKET)
    return lambda key, body=b"x": client.put_object(Bucket=BUCKET, Key=key, Body=body)


def store(url: str | None, server: str, *, secret: str = CANARY, bucket: str = BUCKET) -> BarmanStore:
    return BarmanStore(bucket, f"{server}/", url, None, ACCESS, secret)


@pytest.mark.control_plane
def test_base_backups_with_all_their_bytes_oldest_first(gateway: str, put: Any) -> None:
    put("one/base/20261123T140344/backup.info", b"server_name=x\nstatus=DONE\nsize=5\n")
    put("one/base/20261123T140344/data.tar.gz", b"x" * 5000)
    put("one/base/20261122T140344/backup.info", b"status=FAILED\n")
    put("one/base/20261124T140344/data.tar", b"x" * 7)
    put("one/base/20261121T140344/backup.info", b"begin_wal=x\n")
    put("one-more/base/20261120T140344/backup.info", b"status=DONE\n")
    assert store(gateway, "one").base_backups() == [
        BaseBackup("20261121T140344", 12, "no status", begin_wal="x"),
        BaseBackup("20261122T140344", 14, "FAILED"),
        BaseBackup("20261123T140344", 33 + 5000, "DONE"),
        BaseBackup("20261124T140344", 7, "no backup.info"),
    ]
    assert store(gateway, "nobody").base_backups() == []


@pytest.mark.control_plane
def test_only_the_segment_itself_counts_as_the_segment(gateway: str, put: Any) -> None:
    here = "two/wals/0000000100000000/"
    stored = {
        "000000010000000000000001": "000000010000000000000001",
        "000000010000000000000002": "000000010000000000000002.gz",
        "000000010000000000000003": "000000010000000000000003.00000028.backup",
        "000000010000000000000004": "000000010000000000000004.00000028.backup.gz",
        "000000010000000000000005": "000000010000000000000005.partial",
        "000000010000000000000006": "000000010000000000000006.partial.gz",
        "000000010000000000000007": "000000010000000000000007.zst",
        "000000010000000000000008": "000000010000000000000008.tmp",
    }
    for key in stored.values():
        put(here + key)
    put("two/wals/00000002.history")
    put("two/wals/0000000200000000/000000020000000000000009.bz2")
    asked = {*stored, "000000020000000000000009", "00000001000000000000000A", "000000020000000100000000"}
    assert store(gateway, "two").segments(asked) == {
        "000000010000000000000001",
        "000000010000000000000002",
        "000000010000000000000007",
        "000000020000000000000009",
    }
    assert store(gateway, "two").segments([]) == set()
    put("two/wals/00000003.history.gz")
    there = [*stored.values(), "00000002.history", "00000003.history", "000000020000000000000009"]
    names = {*stored, *(key.removesuffix(".gz") for key in there), "00000004.history", "0000000B.history"}
    assert {name for name in names if store(gateway, "two").holds(name)} == {
        "000000010000000000000001",
        "000000010000000000000002",
        "000000010000000000000003.00000028.backup",
        "000000010000000000000004.00000028.backup",
        "000000010000000000000005.partial",
        "000000010000000000000006.partial",
        "000000010000000000000007",
        "000000010000000000000007.zst",
        "000000010000000000000008.tmp",
        "000000020000000000000009",
        "00000002.history",
        "00000003.history",
    }


@pytest.mark.control_plane
def test_more_than_a_page_is_listed_whole(gateway: str, put: Any) -> None:
    big = [f"0000000100000000{n:08X}" for n in range(1203)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: put(f"three/wals/0000000100000000/{name}.gz"), big))
    assert store(gateway, "three").segments(big) == set(big)


def told(problem: StoreUnreadable) -> str:
    """Everything that an event log would keep of it."""
    assert problem.__cause__ is None
    assert problem.__context__ is None
    return "".join(traceback.format_exception(problem))


@pytest.mark.control_plane
@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret": "wrong-" + CANARY}, "SignatureDoesNotMatch"),
        ({"bucket": "no-such-bucket"}, "NoSuchBucket"),
        ({"bucket": "Not A Bucket"}, "ParamValidationError"),
    ],
)
def test_what_the_store_refuses_is_told_without_the_secret(gateway: str, put: Any, changes: dict[str, str], reason: str) -> None:
    with pytest.raises(StoreUnreadable, match=f"could not be listed: .*{reason}") as caught:
        store(gateway, "one", **changes).base_backups()
    assert CANARY not in told(caught.value)
    assert gateway in str(caught.value)


@pytest.mark.parametrize("url", ["closed", "no url at all", "ftp://127.0.0.1"])
def test_a_store_that_is_not_there_is_told_soon_and_without_the_secret(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setattr(barman_store, "TIMEOUT_SECONDS", 2)
    monkeypatch.setattr(barman_store, "MOST_ATTEMPTS", 1)
    if url == "closed":
        with socket.create_server((LOOPBACK, 0)) as free:
            url = f"http://{LOOPBACK}:{free.getsockname()[1]}"
    begun = time.monotonic()
    with pytest.raises(StoreUnreadable, match=r"could not be listed: .*Expected it to answer within 2 s") as caught:
        store(url, "one").segments(["000000010000000000000001"])
    assert time.monotonic() - begun < 20
    assert CANARY not in told(caught.value)


class Secrets:
    """A Kube that has one Secret."""

    def __init__(self, data: dict[str, str]) -> None:
        self.data = {key: b64encode(value.encode()).decode() for key, value in data.items()}

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        if (resource.kind, name, namespace) != ("Secret", "s3-creds", "cmp"):
            raise NotFound(f"{resource.qualified} {name} not found")
        return {"metadata": {"name": name}, "data": self.data}


KEYS = {"ACCESS_KEY_ID": ACCESS, "ACCESS_SECRET_KEY": CANARY, "REGION": "eu-1"}
CONFIGURATION = OBJECT_STORE["spec"]["configuration"]


def opened(configuration: dict[str, Any], keys: dict[str, str] = KEYS) -> BarmanStore:
    return open_store(cast(Kube, Secrets(keys)), "cmp", configuration, "cmp-postgres-7")


@pytest.mark.parametrize(
    ("path", "bucket", "prefix"),
    [
        ("s3://backups/", "backups", "cmp-postgres-7/"),
        ("s3://backups", "backups", "cmp-postgres-7/"),
        ("s3://backups/a/b/", "backups", "a/b/cmp-postgres-7/"),
    ],
)
def test_where_a_server_lies(path: str, bucket: str, prefix: str) -> None:
    found = opened(CONFIGURATION | {"destinationPath": path})
    assert (found.bucket, found.prefix, found.endpoint_url, found.region) == (bucket, prefix, "http://10.88.0.1:9300", None)
    assert (found.access_key, found.secret_key) == (ACCESS, CANARY)


def test_the_secret_is_in_no_repr() -> None:
    assert CANARY not in repr(opened(CONFIGURATION))
    assert CANARY not in str(opened(CONFIGURATION))
    assert ACCESS not in repr(opened(CONFIGURATION))


def test_a_region_comes_from_its_secret() -> None:
    credentials = CONFIGURATION["s3Credentials"] | {"region": {"name": "s3-creds", "key": "REGION"}}
    assert opened(CONFIGURATION | {"s3Credentials": credentials}).region == "eu-1"


@pytest.mark.parametrize(
    "configuration",
    [
        {},
        CONFIGURATION | {"destinationPath": "https://account.blob.example.com/container"},
        CONFIGURATION | {"s3Credentials": {"inheritFromIAMRole": True}},
        CONFIGURATION | {"s3Credentials": None},
    ],
)
def test_what_cannot_be_listed_from_here_is_unknown(configuration: dict[str, Any]) -> None:
    with pytest.raises(StoreUnreadable, match="What it holds is unknown, so nothing can be claimed about it"):
        opened(configuration)


def test_a_secret_without_its_key_names_those_it_has_and_no_value() -> None:
    with pytest.raises(StoreUnreadable, match="has no key 'ACCESS_SECRET_KEY'; it has ACCESS_KEY_ID, REGION") as caught:
        opened(CONFIGURATION, {key: value for key, value in KEYS.items() if key != "ACCESS_SECRET_KEY"})
    assert ACCESS not in str(caught.value).replace("ACCESS_", "")


def test_whose_configuration_it_is() -> None:
    in_tree = {"destinationPath": "s3://old/"}
    both = cluster(spec__backup={"barmanObjectStore": in_tree})
    assert configuration_of(both, OBJECT_STORE) == CONFIGURATION
    assert configuration_of(both, None) == in_tree
    assert configuration_of(cluster(), None) == {}
