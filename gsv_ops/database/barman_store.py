"""What is really in the object store: base backups with their sizes, and WAL segments, as Barman Cloud lays them out.

The store is listed because the Backup objects and the bucket can disagree both ways. Layout (Barman 3):
`<destinationPath>/<server>/base/<backup id>/...` and `<destinationPath>/<server>/wals/<first 16 digits>/<segment>[.<compression>]`.
Credentials come from the Secret that the ObjectStore names and live in this process only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from gsv_ops.database.lsn import parse_lsn
from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import SECRET
from gsv_ops.operations.operation import OperationFailed

TIMEOUT_SECONDS = 10
MOST_ATTEMPTS = 3
MOST_DESCRIPTION = 1 << 20
SEGMENT_DIGITS = 24
COMPRESSIONS = ("gz", "bz2", "xz", "snappy", "lz4", "zst")


class StoreUnreadable(OperationFailed):
    """The object store could not be listed; nothing is known about what is in it."""


@dataclass(frozen=True)
class Stored:
    """One object of the store: its key below the server's part, its bytes, and when it was put there."""

    key: str
    bytes: int
    at: datetime

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self.key.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class BaseBackup:
    """One base backup in the store: bytes of all its files, whether Barman says it is DONE, and what backup.info says beside it.

    What backup.info does not say is None, empty or 0. Positions (begin_lsn, end_lsn) in bytes; data_bytes: the database on disk.
    """

    backup_id: str
    bytes: int
    status: str
    ended: datetime | None = None
    began: datetime | None = None
    begin_wal: str = ""
    end_wal: str = ""
    begin_lsn: int = 0
    end_lsn: int = 0
    timeline: int = 0
    system_identifier: str = ""
    data_bytes: int = 0
    segment_size: int = 0


@dataclass(frozen=True)
class BarmanStore:
    """One server's part of an S3 store. The secret key never shows in its repr."""

    bucket: str
    prefix: str
    endpoint_url: str | None
    region: str | None
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)

    def segments(self, names: Collection[str]) -> set[str]:
        """Those of the named WAL segments that are in the store, whatever they are compressed with. Raises StoreUnreadable."""
        found = set()
        for folder in sorted({name[:16] for name in names}):
            found |= {segment for stored in self.entries(f"wals/{folder}/") if (segment := segment_of(stored.name))}
        return found & set(names)

    def holds(self, name: str) -> bool:
        """Whether this very WAL file is in the store: a segment, or a history, .backup or .partial file. Raises StoreUnreadable."""
        folder = "" if name.endswith(".history") else f"{name[:16]}/"
        rests = [stored.name.removeprefix(name) for stored in self.entries(f"wals/{folder}{name}")]
        return any(not rest or rest.removeprefix(".") in COMPRESSIONS for rest in rests)

    def base_backups(self) -> list[BaseBackup]:
        """Every base backup, oldest first. Raises StoreUnreadable."""
        sizes: dict[str, int] = {}
        described = set()
        for stored in self.entries("base/"):
            backup_id, _, rest = stored.key.removeprefix("base/").partition("/")
            sizes[backup_id] = sizes.get(backup_id, 0) + stored.bytes
            if rest == "backup.info":
                described.add(backup_id)
        return [self._described(i, size) if i in described else BaseBackup(i, size, "no backup.info") for i, size in sorted(sizes.items())]

    def entries(self, under: str, after: str = "") -> Iterator[Stored]:
        """Every object whose key begins with `under`, by its key; with `after`, those behind that key only. Raises StoreUnreadable."""
        start = {"StartAfter": f"{self.prefix}{after}"} if after else {}
        for page in self._pages(Prefix=f"{self.prefix}{under}", **start):
            for entry in page.get("Contents", []):
                yield Stored(entry["Key"].removeprefix(self.prefix), entry["Size"], entry["LastModified"])

    def top(self, folder: str) -> tuple[list[str], list[Stored]]:
        """What lies directly in a folder: the names of its folders, and its objects. Raises StoreUnreadable."""
        folders, objects_ = list[str](), list[Stored]()
        for page in self._pages(Prefix=f"{self.prefix}{folder}", Delimiter="/"):
            folders += [entry["Prefix"].removeprefix(f"{self.prefix}{folder}").strip("/") for entry in page.get("CommonPrefixes", [])]
            for entry in page.get("Contents", []):
                objects_.append(Stored(entry["Key"].removeprefix(self.prefix), entry["Size"], entry["LastModified"]))
        return sorted(folders), objects_

    def read(self, key: str) -> bytes:
        """An object's content, no more than a description has. Raises StoreUnreadable."""
        full = f"{self.prefix}{key}"
        body: bytes = self._guarded(lambda s3: s3.get_object(Bucket=self.bucket, Key=full)["Body"].read(MOST_DESCRIPTION))
        return body

    def _described(self, backup_id: str, size: int) -> BaseBackup:
        body = self.read(f"base/{backup_id}/backup.info").decode(errors="replace")
        said = {key: value.strip() for key, equals, value in (line.partition("=") for line in body.splitlines()) if equals}
        return BaseBackup(
            backup_id,
            size,
            said.get("status", "no status"),
            ended=_moment(said.get("end_time", "")),
            began=_moment(said.get("begin_time", "")),
            begin_wal=said.get("begin_wal", ""),
            end_wal=said.get("end_wal", ""),
            begin_lsn=_position(said.get("begin_xlog", "")),
            end_lsn=_position(said.get("end_xlog", "")),
            timeline=_number(said.get("timeline", "")),
            system_identifier=said.get("systemid", ""),
            data_bytes=_number(said.get("cluster_size", "")),
            segment_size=_number(said.get("xlog_segment_size", "")),
        )

    def _pages(self, **asked: str) -> Sequence[Mapping[str, Any]]:
        found: Sequence[Mapping[str, Any]] = self._guarded(
            lambda s3: [*s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **asked)]
        )
        return found

    def _guarded(self, call: Any) -> Any:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        config = Config(
            connect_timeout=TIMEOUT_SECONDS,
            read_timeout=TIMEOUT_SECONDS,
            retries={"max_attempts": MOST_ATTEMPTS, "mode": "standard"},
            s3={"addressing_style": "path"} if self.endpoint_url else {},
        )
        try:
            client = boto3.client(
                "s3",
                endpoint_url=self.endpoint_url,
                region_name=self.region or "us-east-1",
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                config=config,
            )
            return call(client)
        except ClientError as problem:
            code = problem.response.get("Error", {}).get("Code", "unknown")
            reason = f"it answered {code}"
        except (BotoCoreError, ValueError) as problem:  # ValueError: the endpoint is no URL
            reason = type(problem).__name__
        raise StoreUnreadable(
            f"the object store s3://{self.bucket}/{self.prefix} at {self.endpoint_url or 'its default endpoint'} "
            f"could not be listed: {reason}. "
            f"Expected it to answer within {TIMEOUT_SECONDS} s; check that it runs, and the Secret and endpointURL of the ObjectStore."
        )


def open_store(kube: Kube, namespace: str, configuration: Mapping[str, Any], server_name: str) -> BarmanStore:
    """The store that an ObjectStore's (or an in-tree barmanObjectStore's) configuration describes.

    Raises StoreUnreadable for what is not S3 with keys in Secrets, NotFound and Forbidden for those Secrets.
    """
    path = urlsplit(str(configuration.get("destinationPath", "")))
    credentials = configuration.get("s3Credentials") or {}
    if path.scheme != "s3" or not credentials.get("accessKeyId"):
        raise StoreUnreadable(
            f"the object store at {configuration.get('destinationPath')!r} cannot be listed from here: expected an s3:// path with "
            f"s3Credentials.accessKeyId and secretAccessKey. What it holds is unknown, so nothing can be claimed about it."
        )
    folder = path.path.strip("/")
    region = credentials.get("region")
    return BarmanStore(
        bucket=path.netloc,
        prefix=f"{folder}/{server_name}/" if folder else f"{server_name}/",
        endpoint_url=configuration.get("endpointURL"),
        region=_secret_value(kube, namespace, region) if region else None,
        access_key=_secret_value(kube, namespace, credentials["accessKeyId"]),
        secret_key=_secret_value(kube, namespace, credentials["secretAccessKey"]),
    )


def configuration_of(cluster: Object, object_store: Object | None) -> Mapping[str, Any]:
    """The Barman configuration a cluster uses: the ObjectStore's, or its own in-tree one."""
    if object_store is not None:
        return dict(at(object_store, "spec", "configuration", default={}))
    return dict(at(cluster, "spec", "backup", "barmanObjectStore", default={}))


def segment_of(name: str) -> str:
    """The WAL segment that a stored file holds, whatever it is compressed with; empty for a file that bears its name and holds none."""
    segment, dot, rest = name.partition(".")
    # .partial files and .backup labels
    return segment if len(segment) == SEGMENT_DIGITS and (not dot or rest in COMPRESSIONS) else ""


def _position(text: str) -> int:
    try:
        return parse_lsn(text)
    except ValueError:
        return 0


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _secret_value(kube: Kube, namespace: str, reference: Mapping[str, str]) -> str:
    import base64

    secret = kube.get(SECRET, reference["name"], namespace)
    value = at(secret, "data", reference["key"])
    if value is None:
        raise StoreUnreadable(
            f"Secret {namespace}/{objects.name(secret)} has no key {reference['key']!r}; "
            f"it has {', '.join(sorted(secret.get('data') or {})) or 'none'}"
        )
    return base64.b64decode(value).decode()
