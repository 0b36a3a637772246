"""Records are replaced whole: a reader sees the old one or the new one, whoever writes at the same time, and whoever dies writing."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from upath import UPath

from gsv_ops.operations import desk
from gsv_ops.operations.records import DamagedRecord, Records


def test_a_record_is_read_as_it_was_written(records: Records) -> None:
    where = records.write("plans/p-1", {"b": [1, None], "a": "ü"})
    assert str(where) == str(records.root / "plans" / "p-1.json")
    assert records.read("plans/p-1") == {"a": "ü", "b": [1, None]}
    records.write("plans/p-1", {"c": 1})
    assert records.read("plans/p-1") == {"c": 1}


def test_what_was_never_written_is_none_and_no_error(records: Records) -> None:
    assert records.read("plans/p-1") is None
    assert records.names("plans") == []


def test_a_time_is_written_as_text(records: Records) -> None:
    records.write("a", {"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert records.read("a") == {"at": "2026-01-01 00:00:00+00:00"}


@pytest.mark.parametrize(
    ("text", "message"), [('{"a": 1', "not valid JSON"), ("[1]", "holds list, expected an object"), ("", "not valid JSON")]
)
def test_a_damaged_record_says_which_and_what_to_do(records: Records, text: str, message: str) -> None:
    records.write("plans/p-1", {})
    Path(str(records.path("plans/p-1"))).write_text(text)
    with pytest.raises(DamagedRecord, match=rf"plans/p-1\.json .*{message}.*; move it away to go on"):
        records.read("plans/p-1")


def test_names_are_the_records_of_the_folder_itself(records: Records) -> None:
    for name in ("journals/b-x", "journals/a-x", "journals/deep/c-x", "other/d", "journals/p-1.2"):
        records.write(name, {})
    Path(str(records.root), "journals", ".a-x.json.1234.partial").write_text("{")
    Path(str(records.root), "journals", "notes.txt").write_text("")
    assert records.names("journals") == ["journals/a-x", "journals/b-x", "journals/p-1.2"]


def test_another_file_system_does_too() -> None:
    records = Records(UPath("memory://records-test/root"))
    records.write("a/b", {"c": 1})
    assert records.read("a/b") == {"c": 1}
    assert records.names("a") == ["a/b"]
    assert records.read("a/c") is None


def test_a_write_that_fails_leaves_the_old_record_and_nothing_else(records: Records, monkeypatch: pytest.MonkeyPatch) -> None:
    records.write("a", {"old": True})

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write("a", {"new": True})
    assert records.read("a") == {"old": True}
    assert [path.name for path in records.root.iterdir()] == ["a.json"]


def test_writers_at_the_same_time_never_show_a_half(records: Records) -> None:
    size, done, broken = 20_000, threading.Event(), list[str]()
    records.write("a", {"by": -1, "text": "x" * size})

    def write(by: int) -> None:
        try:
            for _ in range(25):
                records.write("a", {"by": by, "text": str(by) * size})
        except Exception as problem:  # noqa: BLE001
            broken.append(repr(problem))

    def read() -> None:
        while not done.is_set():
            try:
                body = records.read("a")
                assert body is not None
                assert len(set(body["text"])) == 1
            except Exception as problem:  # noqa: BLE001
                broken.append(repr(problem))

    writers = [threading.Thread(target=write, args=(by,)) for by in range(4)]
    reader = threading.Thread(target=read)
    for thread in (*writers, reader):
        thread.start()
    for thread in writers:
        thread.join(30)
    done.set()
    reader.join(30)
    assert broken == []
    assert [path.name for path in records.root.iterdir()] == ["a.json"]


def test_a_writer_that_is_killed_halfway_leaves_the_old_record(records: Records) -> None:
    records.write("journals/a", {"old": True})
    program = (
        "import os, sys; from upath import UPath; from gsv_ops.operations.records import Records\n"
        "os.fsync = lambda _: os._exit(9)\n"
        "Records(UPath(sys.argv[1])).write('journals/a', {'new': True})"
    )
    assert subprocess.run([sys.executable, "-c", program, str(records.root)], timeout=60).returncode == 9
    assert records.read("journals/a") == {"old": True}
    assert records.names("journals") == ["journals/a"]
    records.write("journals/a", {"new": True})
    assert records.read("journals/a") == {"new": True}


def test_where_records_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("GSV_EVIDENCE_ROOT", "DAGSTER_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert str(desk.evidence_root()) == "/home/somebody/.local/share/gsv_ops/evidence"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert str(desk.evidence_root()) == "/data/gsv_ops/evidence"
    monkeypatch.setenv("DAGSTER_HOME", "/dagster")
    assert str(desk.evidence_root()) == "/dagster/evidence"
    monkeypatch.setenv("GSV_EVIDENCE_ROOT", "memory://bucket/evidence")
    assert desk.evidence_root().protocol == "memory"


def test_records_are_plain_json(records: Records) -> None:
    assert json.loads(Path(str(records.write("a", {"b": 1}))).read_text()) == {"b": 1}
