"""Of what the containers of a failed backup log, the lines that say why."""

import json

from gsv_ops.database import pod_logs


def line(level: str, text: str, **more: str) -> str:
    return json.dumps({"level": level, "ts": "2026-03-01T10:00:00Z", "msg": text, **more})


STORE_DOWN = "\n".join(
    (
        line("info", "Starting barman-cloud-backup"),
        line(
            "info", '2026-03-01 10:00:00,5 [366] ERROR: Backup failed uploading data (Could not connect to "http://store")', pipe="stderr"
        ),
        line("error", "while taking backup", error="exit status 1"),
        line("error", "Error while handling GRPC request", error="exit status 1"),
        line("error", "Backup failed", error="rpc error: code = Unknown desc = exit status 1"),
    )
)
SHOW_FAILED = line(
    "error",
    "Can't extract backup id",
    stderr='2026-03-01 10:00:00,1 [365] ERROR: show exception: Could not connect to "http://store"\n',
    error="exit status 4",
)


def test_the_tools_own_word_is_kept_where_the_wrappers_come_after_it() -> None:
    found = pod_logs.complaints(STORE_DOWN)
    assert len(found) == 4
    assert pod_logs.telling(found, 2) == ['Backup failed uploading data (Could not connect to "http://store")']


def test_what_a_tool_wrote_beside_the_wrappers_error_is_its_word() -> None:
    assert pod_logs.complaints(SHOW_FAILED) == ['show exception: Could not connect to "http://store"']


def test_without_anything_better_the_wrappers_word_stays() -> None:
    assert pod_logs.telling(["while taking backup: exit status 1"], 2) == ["while taking backup: exit status 1"]
    assert pod_logs.telling([], 2) == []


def test_wal_that_is_not_what_should_be_there_is_named_before_what_comes_of_it() -> None:
    def postgres(severity: str, message: str) -> str:
        return json.dumps({"level": "info", "msg": "record", "record": {"error_severity": severity, "message": message}})

    log = "\n".join(
        (
            postgres("LOG", 'restored log file "00000001000000000000001B" from archive'),
            postgres("LOG", "unexpected pageaddr 0/1A000000 in log segment 00000001000000000000001B, offset 0"),
            postgres("FATAL", "recovery ended before configured recovery target was reached"),
        )
    )
    assert pod_logs.complaints(log) == [
        "unexpected pageaddr 0/1A000000 in log segment 00000001000000000000001B, offset 0",
        "recovery ended before configured recovery target was reached",
    ]


def test_that_the_manager_gave_up_hides_no_cause() -> None:
    waiting = "while waiting for PostgreSQL to stop recovery mode: error while reading results of pg_is_in_recovery: failed to connect"
    causes = ["unexpected timeline ID 7 in log segment 1B", "recovery ended before configured recovery target was reached"]
    asked = ["WAL file 00000003.history for server cmp-postgres does not exist"]
    gave_up = ["While terminating server", f"Error while restoring a backup: {waiting}", f"restore error: {waiting}"]
    assert pod_logs.telling([*asked, *causes, *gave_up], 4) == causes
    assert pod_logs.telling(gave_up, 4) == gave_up
