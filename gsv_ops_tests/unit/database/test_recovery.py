"""A recovery that never will be is found out at once, with its cause; one that is done says how long each part took."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import recovery
from gsv_ops.database.recovery import Logs, RecoveryFailed, RecoveryOverdue
from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import CLUSTER, changed
from gsv_ops_tests.unit.database.test_pod_logs import WITHOUT_WAL, line

NAME = "proof-4f0c1a2b"
CREATED = datetime(2026, 11, 23, 13, 50, 40, tzinfo=UTC)
SCRATCH = changed(CLUSTER, {"metadata__name": NAME, "metadata__creationTimestamp": "2026-11-23T13:50:40Z"})
COMING_UP = changed(SCRATCH, {"status__phase": "Setting up primary", "status__conditions": [], "status__currentPrimary": None})
POD: Object = {
    "metadata": {"name": f"{NAME}-1-full-recovery-x", "labels": {"cnpg.io/jobRole": "full-recovery"}},
    "spec": {"containers": [{"name": "full-recovery"}]},
    "status": {"phase": "Pending", "containerStatuses": [{"name": "full-recovery", "state": {"waiting": {"reason": "ErrImagePull"}}}]},
}


def at(second: float, text: str) -> str:
    return line(ts=(CREATED + timedelta(seconds=second)).isoformat(), msg=text)


GOOD_LOG = "\n".join(
    (
        at(8, "Starting barman-cloud-restore"),
        at(10.5, "Restore completed"),
        line(
            ts=(CREATED + timedelta(seconds=14)).isoformat(),
            msg="record",
            record={"error_severity": "LOG", "message": 'recovery stopping before WAL location (LSN) "0/5001000"'},
        ),
    )
)


class Clock:
    """Time that passes only while it is slept."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Recovering:
    """A Kube that shows a recovery as it stands at the clock's time."""

    def __init__(self, clock: Clock, show: Callable[[float], dict[str, Any]]) -> None:
        self.clock, self.show = clock, show

    def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        assert (resource.kind, name, namespace) == ("Cluster", NAME, "cmp")
        return cast(Object, self.show(self.clock.seconds)["cluster"])

    def list(self, resource: Resource, namespace: str | None = None, **_: Any) -> list[Object]:
        return cast(list[Object], self.show(self.clock.seconds).get(resource.plural, []))

    def logs(self, *_: Any, **__: Any) -> str:
        return cast(str, self.show(self.clock.seconds).get("log", ""))


def waited(
    tmp_path: Path, show: Callable[[float], dict[str, Any]], seconds: float = 600, attempts: int = 1
) -> tuple[Any, float, list[str]]:
    """What the wait gave or raised, after how many seconds, and what was told meanwhile."""
    clock, told = Clock(), list[str]()
    desk = Desk(
        cast(Kube, Recovering(clock, show)),
        spec.load(None),
        "dev",
        "c-1",
        Records(UPath(tmp_path)),
        "run",
        told.append,
        now=lambda: CREATED + timedelta(seconds=clock.seconds),
        monotonic=lambda: clock.seconds,
        sleep=clock.sleep,
    )
    try:
        result: Any = recovery.wait(desk, "cmp", NAME, seconds=seconds, failed_attempts=attempts, logs=Logs())
    except (RecoveryFailed, RecoveryOverdue) as problem:
        result = problem
    return result, clock.seconds, told


def test_a_ready_cluster_says_how_long_each_part_took(tmp_path: Path) -> None:
    def show(now: float) -> dict[str, Any]:
        if now < 18:
            return {"cluster": COMING_UP, "pods": [POD], "log": GOOD_LOG}
        return {"cluster": SCRATCH}  # the operator has deleted the Job and its pod

    found, seconds, _ = waited(tmp_path, show)
    assert seconds == 18
    assert found.cluster == SCRATCH
    assert found.seconds == {"provisioning": 8.0, "fetch": 2.5, "replay": 3.5, "promotion": 4.0, "recovery": 18.0}


@pytest.mark.parametrize(
    "cluster",
    [
        changed(SCRATCH, {"status__phase": "Failing over"}),
        changed(SCRATCH, {"status__conditions": [{"type": "Ready", "status": "False"}]}),
        changed(SCRATCH, {"status__conditions": [{"type": "Ready", "status": "Unknown"}]}),
        changed(SCRATCH, {"status__conditions": []}),
        changed(SCRATCH, {"status__currentPrimary": None}),
        changed(SCRATCH, {"status": None}),
    ],
)
def test_what_is_not_surely_ready_is_not_ready(tmp_path: Path, cluster: Object) -> None:
    found, seconds, _ = waited(tmp_path, lambda now: {"cluster": cluster}, seconds=30)
    assert isinstance(found, RecoveryOverdue)
    assert seconds <= 34


def failing(now: float) -> dict[str, Any]:
    jobs = [{"status": {"failed": 1}}] if now >= 20 else [{"status": {}}]
    return {"cluster": COMING_UP, "pods": [POD], "jobs": jobs, "log": WITHOUT_WAL if now >= 18 else ""}


def test_a_failed_attempt_is_told_at_once_with_its_cause(tmp_path: Path) -> None:
    found, seconds, _ = waited(tmp_path, failing)
    assert isinstance(found, RecoveryFailed)
    assert seconds == 20
    assert str(found).startswith(
        "the restore failed (1 failed attempts): WAL file 000000020000000000000006 for server cmp-postgres does not"
    )
    assert "recovery ended before configured recovery target was reached" in str(found)
    assert found.next_command == f"kubectl describe clusters.postgresql.cnpg.io {NAME} -n cmp"


def test_the_cause_outlives_the_pod(tmp_path: Path) -> None:
    def show(now: float) -> dict[str, Any]:
        gone = now >= 20
        return failing(now) | ({"pods": []} if gone else {})

    found, _, _ = waited(tmp_path, show)
    assert "000000020000000000000006" in str(found)


def test_more_attempts_may_be_allowed(tmp_path: Path) -> None:
    found, seconds, _ = waited(tmp_path, failing, seconds=60, attempts=2)
    assert isinstance(found, RecoveryOverdue)
    assert seconds > 60


def test_an_unrecoverable_cluster_has_failed_whatever_its_job_says(tmp_path: Path) -> None:
    cluster = changed(COMING_UP, {"status__phase": "Cluster is unrecoverable and needs manual intervention"})
    found, seconds, _ = waited(tmp_path, lambda now: {"cluster": cluster})
    assert isinstance(found, RecoveryFailed)
    assert seconds == 0
    assert "the recovery pods' logs could not be read; phase 'Cluster is unrecoverable" in str(found)


def test_a_wait_has_a_deadline_and_says_where_it_stands(tmp_path: Path) -> None:
    events = [{"reason": "FailedScheduling", "message": "0/1 nodes are available"}]
    found, seconds, told = waited(tmp_path, lambda now: {"cluster": COMING_UP, "pods": [POD], "events": events}, seconds=60)
    assert isinstance(found, RecoveryOverdue)
    assert 60 < seconds <= 64
    assert str(found) == (
        f"the recovery took longer than 60 s. Cluster {NAME} is in phase 'Setting up primary'; "
        f"pod {NAME}-1-full-recovery-x Pending (full-recovery: ErrImagePull); event FailedScheduling: 0/1 nodes are available"
    )
    assert [text.partition(":")[0] for text in told] == ["recovering for 20 s", "recovering for 40 s", "recovering for 60 s"]


def full(now: float) -> dict[str, Any]:
    log = line(level="error", msg="Restore failed", stderr="ERROR: [Errno 28] No space left on device")
    return failing(now) | {"log": log if now >= 20 else ""}


def test_a_full_volume_is_no_fault_of_the_backup(tmp_path: Path) -> None:
    """Also when it is told in the moment in which the attempt is seen to have failed."""
    found, seconds, _ = waited(tmp_path, full)
    assert isinstance(found, RecoveryOverdue)
    assert seconds == 20
    assert str(found).startswith("the recovery was disturbed, which says nothing of the backup: the scratch volume, or the disk below it")


def away_from(begin: float, end: float) -> Callable[[float], dict[str, Any]]:
    """A recovery that is done after 18 s, seen through an API server that is away for a while."""

    def show(now: float) -> dict[str, Any]:
        if begin <= now < end:
            raise errors.Unavailable("no answer from the API server at 10.88.0.1")
        return {"cluster": COMING_UP if now < 18 else SCRATCH}

    return show


def test_an_api_server_that_is_away_for_a_while_is_waited_for(tmp_path: Path) -> None:
    found, seconds, _ = waited(tmp_path, away_from(4, 40))
    assert found.cluster == SCRATCH
    assert seconds == 40


def test_an_api_server_that_stays_away_makes_it_overdue_and_is_named(tmp_path: Path) -> None:
    found, seconds, _ = waited(tmp_path, away_from(4, 1000), seconds=60)
    assert isinstance(found, RecoveryOverdue)
    assert 60 < seconds <= 64
    assert str(found) == "the recovery took longer than 60 s. no answer from the API server at 10.88.0.1"


def test_what_was_said_stays_known_when_the_log_rolls_on() -> None:
    logs = Logs()
    logs.keep({"full-recovery": GOOD_LOG + "\n" + line(level="error", msg="first trouble")})
    logs.keep({"full-recovery": "\n".join(at(20 + n, "replaying") for n in range(50))})
    logs.keep({"full-recovery": line(level="error", msg="second trouble")})
    assert logs.causes() == ["first trouble", "second trouble"]
    assert logs.moment(recovery.FETCH_BEGINS) == CREATED + timedelta(seconds=8)
    assert logs.moment(*recovery.REPLAY_ENDS) == CREATED + timedelta(seconds=14)


def test_a_second_attempt_counts_from_its_own_beginning() -> None:
    logs = Logs()
    logs.keep({"a": GOOD_LOG})
    logs.keep({"b": at(60, "Starting barman-cloud-restore") + "\n" + at(63, "Restore completed")})
    logs.keep({"a": GOOD_LOG})
    found = recovery.timings(SCRATCH, logs, CREATED + timedelta(seconds=90))
    assert found == {"provisioning": 60.0, "fetch": 3.0, "promotion": 76.0, "recovery": 90.0}, "replay's borders are of two attempts"


@pytest.mark.parametrize("log", ["", at(8, "Something else"), "no json", line(ts="yesterday", msg="Restore completed")])
def test_parts_whose_borders_were_not_seen_are_left_out(log: str) -> None:
    logs = Logs()
    logs.keep({"full-recovery": log})
    assert recovery.timings(SCRATCH, logs, CREATED + timedelta(seconds=90)) == {"recovery": 90.0}
