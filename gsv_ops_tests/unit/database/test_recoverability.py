"""What the store and the primary say of what can be restored."""

import bz2
import gzip
import lzma
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import recoverability, recoveries, remembered
from gsv_ops.database.barman_store import BarmanStore, BaseBackup, Stored
from gsv_ops.database.recoverability import commit_of, history, look
from gsv_ops.database.window import Commit
from gsv_ops.kube.errors import StreamFailed
from gsv_ops.kube.protocol import ExecResult, Kube
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, OBJECT_STORE, backup, changed, cluster

AT = datetime(2026, 11, 27, 6, tzinfo=UTC)
DUMP = (
    "rmgr: Transaction len (rec/tot):     46/    46, tx:       2256, lsn: 0/0F036E48, prev "
    "0/0F036E08, desc: COMMIT 2026-11-27 06:50:50.104956 UTC"
)
COMMIT = Commit(datetime(2026, 11, 27, 6, 50, 50, 104956, tzinfo=UTC), 0xF036E48)
HISTORY = "1\t0/5000000\tbefore 2026-11-27 06:00:00+00\n# a remark\n\n2\t0/9000060\tno recovery target specified\n"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (DUMP, COMMIT),
        (DUMP + "; inval msgs: catcache 7", COMMIT),
        (DUMP.replace("COMMIT", "COMMIT PREPARED"), COMMIT),
        (DUMP.replace("COMMIT", "ABORT"), None),
        (DUMP.replace("UTC", "CET"), None),
        ("", None),
    ],
)
def test_the_commit_of_a_line(line: str, found: Commit | None) -> None:
    assert commit_of(line) == found


class Files(BarmanStore):
    """A store that holds these files' content, whatever is asked for."""

    content = b""

    def read(self, key: str) -> bytes:
        return self.content


def stored(name: str, content: bytes) -> tuple[Files, Stored]:
    store = Files("b", "s/", None, None, "", "")
    object.__setattr__(store, "content", content)
    return store, Stored(f"wals/{name}", 9, AT)


@pytest.mark.parametrize(
    ("name", "content", "found"),
    [
        ("00000003.history", HISTORY.encode(), ((1, 0x5000000), (2, 0x9000060))),
        ("00000003.history.gz", gzip.compress(HISTORY.encode()), ((1, 0x5000000), (2, 0x9000060))),
        ("00000003.history.bz2", bz2.compress(HISTORY.encode()), ((1, 0x5000000), (2, 0x9000060))),
        ("00000003.history.xz", lzma.compress(HISTORY.encode()), ((1, 0x5000000), (2, 0x9000060))),
        ("00000003.history.lz4", b"anything", None),
        ("00000003.history.gz", HISTORY.encode(), None),
        ("00000003.history", b"", None),
        ("00000003.history", b"one two", None),
        ("00000003.history", b"1", None),
    ],
)
def test_a_history_that_cannot_be_read_is_not_known(name: str, content: bytes, found: Any) -> None:
    assert history(*stored(name, content)) == found
    assert history(stored(name, content)[0], None) is None


class Shelf(BarmanStore):
    """A store with one base backup on timeline 1, which was left in segment 5, and WAL of both."""

    def base_backups(self) -> list[BaseBackup]:
        done = BaseBackup("b-1", 10, "DONE", ended=AT, begin_wal="000000010000000000000003", end_lsn=0x4000100, timeline=1)
        return [BaseBackup("b-0", 1, "FAILED"), done, BaseBackup("b-2", 1, "DONE")]

    def top(self, folder: str) -> tuple[list[str], list[Stored]]:
        assert folder == "wals/"
        return ["0000000100000000", "0000000200000000"], [Stored("wals/00000002.history", 9, AT)]

    def read(self, key: str) -> bytes:
        return b"1\t0/5000400\tno recovery target specified\n"

    def entries(self, under: str, after: str = "") -> Any:
        assert (under, after) == ("wals/", "wals/0000000100000000/")
        names = ["000000010000000000000002", "000000010000000000000003", "000000010000000000000004.gz", "000000010000000000000005.partial"]
        return iter([Stored(f"wals/x/{name}", 9, AT) for name in [*names, "000000020000000000000005.zst", "00000002.history"]])


class Pods:
    """A Kube whose primary has these segments, by what pg_waldump says of them."""

    def __init__(self, said: dict[str, str] | None) -> None:
        self.said = said

    def exec(self, namespace: str, pod: str, container: str, command: list[str], **_: Any) -> ExecResult:
        assert (namespace, pod, container, command[:2]) == ("cmp", "cmp-postgres-1", "postgres", ["sh", "-c"])
        assert command[-1] not in command[2], "the name is an argument"
        if self.said is None:
            raise StreamFailed("broken")
        return ExecResult(0, self.said.get(command[-1], ""), "")


def desk(tmp_path: Path, kube: Any) -> Desk:
    return Desk(cast(Kube, kube), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)


@pytest.fixture
def shelf(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recoverability, "open_store", lambda *_: Shelf("b", "s/", None, None, "", ""))


@pytest.mark.usefixtures("shelf")
def test_the_store_is_looked_at_for_its_newest_timeline(tmp_path: Path) -> None:
    at = desk(tmp_path, Pods({"000000020000000000000005": DUMP}))
    window = look(at, DATABASE, cluster(), OBJECT_STORE, [])
    assert [base.backup_id for base in window.bases] == ["b-1"], "finished, and with an end"
    assert (window.timeline, window.history) == (2, ((1, 0x5000400),))
    assert [segment.name for segment in window.wal] == [f"{t:08X}{n:016X}" for t, n in ((1, 3), (1, 4), (2, 5))]
    assert window.last_commit == COMMIT
    assert window.proven_to is None


@pytest.mark.usefixtures("shelf")
def test_an_older_segment_is_asked_where_the_newest_has_no_commit(tmp_path: Path) -> None:
    found = look(desk(tmp_path, Pods({"000000010000000000000004": DUMP})), DATABASE, cluster(), OBJECT_STORE, [])
    assert found.last_commit == COMMIT
    assert look(desk(tmp_path, Pods({"000000010000000000000002": DUMP})), DATABASE, cluster(), OBJECT_STORE, []).last_commit is None


@pytest.mark.usefixtures("shelf")
@pytest.mark.parametrize("gone", [True, False])
def test_without_a_primary_the_newest_archived_fingerprint_tells(tmp_path: Path, gone: bool) -> None:
    at = desk(tmp_path, Pods(None))
    taken = {"fingerprint": {"taken_at": "2026-11-27T05:30:00+00:00"}, "archived": True}
    late = {"fingerprint": {"taken_at": "2026-11-27T05:50:00+00:00"}, "archived": False}
    for name, record in (("old", taken), ("new", late)):
        at.records.write(f"fingerprints/cmp-cmp-postgres-agent_registry/u-{name}", record)
    source = cluster(metadata__uid=None) if gone else cluster()
    window = look(at, DATABASE, source, OBJECT_STORE, [backup("old"), backup("new"), backup("none")])
    assert (window.last_commit, window.proven_to) == (None, datetime(2026, 11, 27, 5, 30, tzinfo=UTC))


def test_a_store_that_cannot_be_listed_leaves_the_word_to_the_backups(tmp_path: Path) -> None:
    azure = changed(OBJECT_STORE, {"spec__configuration__destinationPath": "https://x.blob.core.windows.net/c"})
    backups = [backup("mine"), backup("running", status={"phase": "running"})]
    window = look(desk(tmp_path, Pods(None)), DATABASE, cluster(), azure, backups)
    assert "cannot be listed from here" in window.unlisted
    [base] = window.bases
    assert (base.backup_id, base.timeline, base.begin_lsn, base.end_lsn) == ("id-mine", 1, 0x3000028, 0x402E3D0)


def test_the_source_is_remembered_with_nothing_but_what_a_restore_needs(tmp_path: Path) -> None:
    at = desk(tmp_path, None)
    assert remembered.recall(at, DATABASE) is None
    remembered.keep(at, DATABASE, cluster())
    found = remembered.recall(at, DATABASE)
    assert found is not None
    body, _ = found
    assert body["spec"] == cluster()["spec"]
    assert body["metadata"] == {"name": "cmp-postgres", "namespace": "cmp"}
    assert remembered.where(at, DATABASE).endswith("sources/dev-cmp-cmp-postgres-agent_registry.json")


def test_an_estimate_is_made_of_what_was_measured_and_of_nothing_else(tmp_path: Path) -> None:
    clock = iter(AT + timedelta(seconds=n) for n in range(99))
    at = replace(desk(tmp_path, None), now=lambda: next(clock))
    for fetch, replay, whole in ((2.0, 10.0, 60.0), (4.0, 30.0, 90.0), (3.0, 20.0, 70.0)):
        recoveries.keep(at, DATABASE, f"b-{fetch}", 1000, {"fetch": fetch, "replay": replay, "recovery": whole})
    recoveries.keep(at, DATABASE, "b-2.0", 1000, {"recovery": 5.0})
    measured = recoveries.read(at, DATABASE)
    assert len(measured) == 4
    sizes = {"b-2.0": 100, "b-3.0": 100, "b-4.0": 100, "mine": 50}
    found = recoveries.estimate(measured, sizes, "mine", 500)
    assert found is not None
    assert (found.seconds, found.measured) == (1.5 + 10.0 + 48.0, 3)
    assert recoveries.estimate(measured, {"mine": 50}, "mine", 500) is None
    assert recoveries.estimate(measured, sizes, "unknown", 500) is None
    assert recoveries.estimate([], sizes, "mine", 500) is None
