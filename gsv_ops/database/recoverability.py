"""Looks at what can be restored: the store's base backups and WAL, the history of its timelines, and the last commit in it.

The last commit is asked of the primary, whose pg_waldump reads the newest archived segment while it is still there. Where no primary
answers, the newest archived fingerprint says to when the archive reaches for certain.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from gsv_ops.database import fingerprinting, source
from gsv_ops.database.barman_store import BarmanStore, BaseBackup, Stored, configuration_of, open_store, segment_of
from gsv_ops.database.conditions import DONE
from gsv_ops.database.lsn import parse_lsn, parse_wal_name
from gsv_ops.database.window import Commit, Segment, Window
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk
from gsv_ops.platform.spec import Database

CONTAINER = "postgres"
COMPLETED = "completed"
# The last commit of a segment. Its name is an argument, never part of the script; pg_waldump ends in an error where the segment does.
LAST_COMMIT = 'TZ=UTC pg_waldump -r Transaction "$PGDATA/pg_wal/$1" 2>/dev/null | grep -F "desc: COMMIT" | tail -n 1'
SEGMENTS_ASKED = 3
ASK_SECONDS = 30.0
FINGERPRINTS_READ = 5

_COMMIT = re.compile(r"lsn: (?P<lsn>[0-9A-F]+/[0-9A-F]+),.*desc: COMMIT (?:PREPARED )?(?P<at>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+) UTC")
_READERS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
}


def look(
    desk: Desk, database: Database, cluster: Object, object_store: Object | None, backups: Sequence[Object], timeline: int = 0
) -> Window:
    """What the archive holds for that timeline (0: its newest). Raises StoreUnreadable where it should answer and does not.

    A store of another kind than S3 cannot be listed: then only the Backup objects tell.
    """
    archive = source.archive(cluster)
    configuration = configuration_of(cluster, object_store)
    if not str(configuration.get("destinationPath", "")).startswith("s3://"):
        unlisted = f"a store at {configuration.get('destinationPath')!r} cannot be listed from here"
        bases = tuple(_told_by(backup) for backup in backups if at(backup, "status", "phase") == COMPLETED)
        newest = timeline or max((base.timeline for base in bases), default=1)
        return Window(tuple(sorted(bases, key=lambda base: base.backup_id)), newest, None, unlisted=unlisted)
    store = open_store(desk.kube, database.namespace, configuration, archive.server_name)
    bases = tuple(base for base in store.base_backups() if base.status == DONE and base.ended is not None)
    folders, files = store.top("wals/")
    histories = {int(stored.name[:8], 16): stored for stored in files if ".history" in stored.name}
    known = {*histories, *(int(folder[:8], 16) for folder in folders if len(folder) == 16)}
    timeline = timeline or max(known, default=1)
    found = Window(bases, timeline, history(store, histories.get(timeline)) if timeline > 1 else (), _wal(store, bases))
    commit = _last_commit(desk, database, cluster, found)
    proven = None if commit else _proven_to(desk, database, backups)
    return Window(bases, timeline, found.history, found.wal, commit, proven)


def history(store: BarmanStore, stored: Stored | None) -> tuple[tuple[int, int], ...] | None:
    """The timelines before that one, each with the position where it was left; None where its history cannot be read."""
    if stored is None:
        return None
    reader = _READERS.get(stored.name.partition(".history")[2].strip("."))
    try:
        text = reader(store.read(stored.key)).decode() if reader else ""
        lines = [line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        return tuple((int(line[0]), parse_lsn(line[1])) for line in lines) or None
    except (OSError, EOFError, lzma.LZMAError, ValueError, IndexError):
        return None


def commit_of(line: str) -> Commit | None:
    """The commit that a line of pg_waldump tells of; None where it tells of none."""
    found = _COMMIT.search(line)
    if found is None:
        return None
    return Commit(datetime.fromisoformat(found["at"]).replace(tzinfo=UTC), parse_lsn(found["lsn"]))


def _wal(store: BarmanStore, bases: Sequence[BaseBackup]) -> tuple[Segment, ...]:
    first = min((base.begin_wal for base in bases if base.begin_wal), default="")
    after = f"wals/{first[:16]}/" if first else ""
    found = [Segment(name, stored.bytes, stored.at) for stored in store.entries("wals/", after=after) if (name := segment_of(stored.name))]
    return tuple(segment for segment in found if segment.name >= first)


def _last_commit(desk: Desk, database: Database, cluster: Object, window: Window) -> Commit | None:
    """The last commit in the archive, where the cluster that wrote it can be asked."""
    pod = source.primary(cluster) if at(cluster, "metadata", "uid") else ""
    if not pod:
        return None
    for segment in reversed(window.chain[-SEGMENTS_ASKED:]):
        command = ["sh", "-c", LAST_COMMIT, "sh", segment.name]
        try:
            said = desk.kube.exec(database.namespace, pod, CONTAINER, command, timeout=ASK_SECONDS)
        except KubeError as problem:
            desk.log(f"which commit the archive ends with could not be asked of {pod}: {problem}")
            return None
        if commit := commit_of(said.stdout):
            return commit
    return None


def _proven_to(desk: Desk, database: Database, backups: Sequence[Object]) -> datetime | None:
    """When the newest fingerprint was taken whose WAL, with a commit after it, was seen in the store."""
    done = [backup for backup in backups if at(backup, "status", "phase") == COMPLETED and at(backup, "status", "stoppedAt")]
    newest = sorted(done, key=lambda backup: str(backup["status"]["stoppedAt"]))[-FINGERPRINTS_READ:]
    records = [desk.records.read(fingerprinting.record_name(database, backup)) for backup in newest]
    taken: list[Mapping[str, Any]] = [kept for record in records if (kept := fingerprinting.kept(record))]
    return max((parse_time(fingerprint["taken_at"]) for fingerprint in taken), default=None)


def _told_by(backup: Object) -> BaseBackup:
    """What a Backup object says of its base backup."""
    status = backup["status"]
    begin_wal = str(status.get("beginWal", ""))
    return BaseBackup(
        str(status.get("backupId", "")),
        0,
        DONE,
        ended=parse_time(status["stoppedAt"]) if status.get("stoppedAt") else None,
        began=parse_time(status["startedAt"]) if status.get("startedAt") else None,
        begin_wal=begin_wal,
        end_wal=str(status.get("endWal", "")),
        begin_lsn=parse_lsn(status["beginLSN"]) if status.get("beginLSN") else 0,
        end_lsn=parse_lsn(status["endLSN"]) if status.get("endLSN") else 0,
        timeline=parse_wal_name(begin_wal).timeline if begin_wal else 0,
    )
