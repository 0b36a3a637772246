"""The cause of a failure from logs that CloudNativePG 1.30 really wrote."""

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from gsv_ops.database import pod_logs
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.protocol import Kube

SAMPLES = Path(__file__).with_name("samples")
WITHOUT_WAL = (SAMPLES / "recovery_without_wal.log").read_text()
WITHOUT_BACKUP = (SAMPLES / "recovery_without_backup.log").read_text()


def test_a_recovery_that_lacks_wal_names_the_segment() -> None:
    found = pod_logs.complaints(WITHOUT_WAL)
    assert found[:3] == [
        "WAL file 00000003.history for server cmp-postgres does not exist",
        "WAL file 000000020000000000000006 for server cmp-postgres does not exist",
        "recovery ended before configured recovery target was reached",
    ]
    assert [text.partition(":")[0] for text in found[3:]] == ["Error while restoring a backup", "restore error"]


def test_a_recovery_without_a_backup_says_so() -> None:
    assert pod_logs.complaints(WITHOUT_BACKUP) == [
        "Error while restoring a backup: no target backup found",
        "restore error: while restoring cluster: no target backup found",
    ]


def test_only_what_was_said_since() -> None:
    since = datetime(2026, 11, 23, 13, 51, 1, tzinfo=UTC)
    assert pod_logs.complaints(WITHOUT_WAL, since)[0] == "recovery ended before configured recovery target was reached"
    assert pod_logs.complaints(WITHOUT_WAL, datetime(2026, 11, 24, tzinfo=UTC)) == []
    assert pod_logs.complaints("ERROR: no time, so nobody knows when", since) == []


def line(**fields: object) -> str:
    import json

    return json.dumps({"level": "info", "ts": "2026-11-23T13:51:00Z", **fields})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (line(msg="all is well"), []),
        (line(msg="no ERRORS here, and no error"), []),
        (line(level="error", msg="it broke"), ["it broke"]),
        (line(level="error", msg="it broke", error="exit status 1"), ["it broke: exit status 1"]),
        (line(msg="2026 [42] ERROR: no such file"), ["no such file"]),
        (line(msg="record", record={"error_severity": "FATAL", "message": "out of memory"}), ["out of memory"]),
        (line(msg="record", record={"error_severity": "PANIC", "message": "could not write"}), ["could not write"]),
        (line(msg="record", record={"error_severity": "LOG", "message": "ERROR: in a quoted statement"}), []),
        (line(msg="record", record={"error_severity": "WARNING", "message": "careful"}), []),
        (line(msg="record", record="not a mapping"), []),
        ("plain text\nERROR: plain trouble\n", ["plain trouble"]),
        ("[1, 2]\n{\n\n", []),
        (line(level="error", msg="twice") + "\n" + line(level="error", msg="twice"), ["twice"]),
        (line(level="error", msg="x" * 900), ["x" * 397 + "..."]),
        (line(level="error", msg="ts is odd", ts="yesterday"), ["ts is odd"]),
        ("", []),
    ],
)
def test_what_is_a_complaint(text: str, expected: list[str]) -> None:
    assert pod_logs.complaints(text) == expected


@pytest.mark.parametrize(
    "said",
    [
        "failed to connect to `user=x password=canary-7f3a host=y`",
        "failed to connect to `user=x PASSWORD=canary-7f3a`",
        "failed to connect to `user=x password='canary-7f3a and canary-7f3b' host=y`",
        "failed to connect to postgres://x:canary-7f3a@host/db",
        "failed to connect to postgresql://:canary-7f3a@host/db",
    ],
)
def test_passwords_are_blotted_out(said: str) -> None:
    [found] = pod_logs.complaints(line(level="error", msg=said))
    assert "canary" not in found
    assert "failed to connect to" in found
    assert "..." in found


class Logs:
    """A Kube whose containers have these logs; those without are not started."""

    def __init__(self, **logs: str) -> None:
        self.logs_of = logs

    def logs(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        assert (namespace, pod, tail) == ("cmp", "p", 2000)
        if container not in self.logs_of:
            raise NotFound(f"container {container} is waiting to start")
        return self.logs_of[container]


def test_every_container_is_read_and_one_that_has_not_started_is_left_out() -> None:
    pod = {
        "metadata": {"name": "p"},
        "spec": {"initContainers": [{"name": "bootstrap"}, {"name": "plugin"}], "containers": [{"name": "postgres"}]},
    }
    assert pod_logs.containers(pod) == ["bootstrap", "plugin", "postgres"]
    assert pod_logs.containers({"spec": {"initContainers": None, "containers": [{"name": "a"}]}}) == ["a"]
    assert pod_logs.read(cast(Kube, Logs(bootstrap="x", postgres="y")), "cmp", pod) == {"bootstrap": "x", "postgres": "y"}
