"""What the fault table breaks of the object store, each for as long as a block lasts: from outside, and put back whatever happens.

The store keeps what it knows of an object in the file's xattrs: an object that is to come back is moved, or changed in place, never copied.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import boto3
from botocore.config import Config
from gsv_sandbox import objectstore, platform
from gsv_sandbox.processes import Processes
from gsv_sandbox.state import Paths

from gsv_ops_tests.cluster.outside import CLUSTER, Outside, until

ENDPOINT = "http://10.88.0.1:9300"
PAGE = 8192
TIMELINE_AT = slice(4, 8)  # of a WAL page's header: magic, info, timeline


@contextmanager
def aside(path: Path, outside: Outside) -> Iterator[Path]:
    """A file or folder of the store that is not there; where it is meanwhile."""
    kept = outside.store.parent / f"{path.name}.aside"
    path.rename(kept)
    try:
        yield kept
    finally:
        kept.rename(path)


@contextmanager
def taken_from_the_store(outside: Outside, segment: str) -> Iterator[None]:
    """A WAL segment that is not in the store."""
    with aside(outside.wal_files()[segment], outside):
        yield


@contextmanager
def cut_short(path: Path) -> Iterator[None]:
    """An object of which the second half is missing."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(size // 2)
        rest = file.read()
    os.truncate(path, size // 2)
    try:
        yield
    finally:
        with path.open("ab") as file:
            file.write(rest)


@contextmanager
def swapped(one: Path, other: Path) -> Iterator[None]:
    """Two objects under each other's names."""
    _swap(one, other)
    try:
        yield
    finally:
        _swap(one, other)


@contextmanager
def of_another_timeline(outside: Outside, sandbox: Paths, segment: str, timeline: int) -> Iterator[None]:
    """A WAL segment whose pages say that they are of another timeline, uploaded as the archiver would."""
    file = outside.wal_files()[segment]
    with ExitStack() as back:
        kept = back.enter_context(aside(file, outside))
        pages = bytearray(gzip.decompress(kept.read_bytes()))
        for start in range(0, len(pages), PAGE):
            if any(pages[start : start + 8]):  # the rest of a segment that was ended early is empty
                pages[start + TIMELINE_AT.start : start + TIMELINE_AT.stop] = timeline.to_bytes(4, "little")
        _put(sandbox, str(file.relative_to(outside.store)), gzip.compress(bytes(pages), 1))
        back.callback(file.unlink)
        yield


@contextmanager
def no_wal_taken(outside: Outside) -> Iterator[None]:
    """A store that takes base backups and no WAL of cmp-postgres: a file stands where its folder was."""
    wals = outside.store / CLUSTER / "wals"
    with ExitStack() as back:
        back.callback(archives_again, outside)
        back.enter_context(aside(wals, outside))
        wals.write_text("nothing can be put below a file")
        back.callback(wals.unlink)
        yield


@contextmanager
def no_object_store(outside: Outside, sandbox: Paths) -> Iterator[None]:
    """The store's process is ended, and started again afterwards as it was."""
    processes = Processes(sandbox)
    pid = processes.pid(objectstore.NAME)
    assert pid is not None, "the store does not run"
    binaries = Path(f"/proc/{pid}/exe").readlink().parent
    processes.stop(objectstore.NAME)
    try:
        yield
    finally:
        objectstore.up(sandbox, binaries, processes, platform.buckets(platform.overlay()))
        archives_again(outside)


def archives_again(outside: Outside) -> None:
    """Wait until it does. A segment that ends wakes the archiver, which else rests for a minute after three failures."""
    outside.psql(outside.primary(), "select pg_switch_wal()")
    until(outside.healthy, 150, f"{CLUSTER} to archive again")


def _swap(one: Path, other: Path) -> None:
    between = one.with_name(f"{one.name}.swapped")
    one.rename(between)
    other.rename(one)
    between.rename(other)


def _put(sandbox: Paths, key: str, body: bytes) -> None:
    keys = objectstore.keys(sandbox)
    config = Config(s3={"addressing_style": "path"}, proxies={}, retries={"max_attempts": 2})
    client = boto3.client(
        "s3",
        endpoint_url=ENDPOINT,
        region_name="us-east-1",
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        config=config,
    )
    try:
        client.put_object(Bucket=CLUSTER, Key=key, Body=body)
    finally:
        client.close()
