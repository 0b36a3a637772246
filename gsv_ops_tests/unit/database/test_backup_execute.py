"""A Backup is waited for by its phase: each has a deadline, an unknown one is not good, and a failed one is told with its cause."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database.backup import execute
from gsv_ops.kube.errors import NotFound, WaitTimeout
from gsv_ops.kube.protocol import Kube, Object, Resource
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, backup
from gsv_ops_tests.unit.database.test_pod_logs import line

LOOK = "kubectl describe backups.postgresql.cnpg.io b -n cmp"


class Phases:
    """A Kube whose Backup goes through these states; after the last, a wait is over."""

    def __init__(self, *states: Object | None, log: str | None = None) -> None:
        self.states, self.log, self.timeouts = list(states), log, list[float]()

    def wait(
        self, resource: Resource, name: str, namespace: str, until: Callable[[Object | None], Object | None], *, timeout: float, what: str
    ) -> Object:
        self.timeouts.append(timeout)
        while self.states:
            if (found := until(self.states[0])) is not None:
                return found
            self.states.pop(0)
        raise WaitTimeout(f"{what} took longer than {timeout} s", what=what)

    def get(self, resource: Resource, name: str, namespace: str) -> Object:
        if resource.kind == "Backup":
            return in_phase("started", status__instanceID={"podName": "cmp-postgres-1"})
        if self.log is None:
            raise NotFound(f"pods {name} not found")
        return {"metadata": {"name": name}, "spec": {"containers": [{"name": "postgres"}]}}

    def logs(self, *_: Any, **__: Any) -> str:
        return self.log or ""


def in_phase(phase: str | None, **changes: Any) -> Object:
    return backup("b", status={"phase": phase} if phase else {}, metadata__creationTimestamp="2026-11-23T13:00:00Z", **changes)


def completed(tmp_path: Path, kube: Phases) -> tuple[Any, list[str]]:
    """What was waited for, or the failure; and what was told meanwhile."""
    told = list[str]()
    desk = Desk(cast(Kube, kube), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "run", told.append)
    try:
        return execute.completed(desk, DATABASE, "b"), told
    except OperationFailed as problem:
        return problem, told


@pytest.mark.parametrize(
    "phases",
    [[None, "pending", "started"], ["started", "running", "finalizing"], [], ["running", "started"], [None, "a phase of tomorrow"]],
)
def test_a_completed_backup_is_waited_for_whatever_way_it_came(tmp_path: Path, phases: list[str | None]) -> None:
    kube = Phases(*map(in_phase, phases), backup("b"))
    found, told = completed(tmp_path, kube)
    assert found == backup("b")
    assert ("which is not known here; it is not taken as good" in "".join(told)) == ("a phase of tomorrow" in phases)
    assert kube.timeouts in ([300], [300, 300])


@pytest.mark.parametrize(
    ("phases", "what", "seconds"),
    [
        ([None, "pending"], "start", [300]),
        (["started"], "complete\n(it was waited for 14400 s in all)", [300] * 49),
        (["a phase of tomorrow"], "start", [300]),
    ],
)
def test_every_phase_has_its_deadline(tmp_path: Path, phases: list[str | None], what: str, seconds: list[int]) -> None:
    kube = Phases(*map(in_phase, phases), log="")
    found, _ = completed(tmp_path, kube)
    what, _, more = what.partition("\n")
    assert str(found) == f"Backup cmp/b to {what} took longer than 300 s" + (f"\n{more}" if more else "")
    assert kube.timeouts == seconds
    assert found.next_command == LOOK
    assert found.__cause__ is None


@pytest.mark.parametrize("phase", ["failed", "invalid backup definition", "walArchivingFailing"])
@pytest.mark.parametrize("before", [[], ["started"]])
def test_a_failed_backup_is_told_with_the_cause_from_the_log(tmp_path: Path, phase: str, before: list[str]) -> None:
    failed = in_phase(phase, status__error="exit status 1", status__instanceID={"podName": "cmp-postgres-2"})
    old = line(ts="2026-11-23T12:00:00Z", level="error", msg="of another backup")
    new = line(level="error", msg="connect: connection refused")
    found, _ = completed(tmp_path, Phases(*map(in_phase, before), failed, log=old + "\n" + new))
    assert str(found) == f"Backup b is {phase}: exit status 1. The log of cmp-postgres-2: connect: connection refused"
    assert found.next_command == LOOK


def test_a_failed_backup_whose_pod_is_gone_is_told_all_the_same(tmp_path: Path) -> None:
    found, _ = completed(tmp_path, Phases(in_phase("failed", status__instanceID={"podName": "cmp-postgres-2"})))
    assert str(found).endswith("the log of cmp-postgres-2 could not be read: pods cmp-postgres-2 not found")


@pytest.mark.parametrize("before", [[], ["started"]])
def test_a_backup_that_is_deleted_meanwhile_is_told(tmp_path: Path, before: list[str]) -> None:
    found, _ = completed(tmp_path, Phases(*map(in_phase, before), None))
    assert str(found) == "Backup cmp/b was deleted while it was being taken"


@pytest.mark.parametrize("key", execute.NEEDED)
def test_a_completed_backup_that_does_not_say_what_it_covers_does_not_count(tmp_path: Path, key: str) -> None:
    found, _ = completed(tmp_path, Phases(backup("b", **{f"status__{key}": None})))
    assert str(found) == f"Backup b is completed but its status has no {key}: what it covers is unknown"


BEFORE = line(ts="2026-11-23T12:00:00Z", msg="of another time")


def of_it(text: str, name: str = "b") -> str:
    return line(ts="2026-11-23T13:00:05Z", msg=text, backupName=name)


@pytest.mark.parametrize(
    ("log", "why"),
    [
        ((BEFORE,), "cmp-postgres-1 never began it"),
        ((BEFORE, of_it("Plugin backup started", "another")), "cmp-postgres-1 never began it"),
        ((BEFORE, of_it("Plugin backup started"), of_it("Backup completed")), "cmp-postgres-1 says that it has ended"),
        ((of_it("Can't set backup status as completed"),), "cmp-postgres-1 says that it has ended"),
    ],
)
def test_a_backup_that_will_never_end_is_told_long_before_its_deadline(tmp_path: Path, log: tuple[str, ...], why: str) -> None:
    kube = Phases(in_phase("started"), log="\n".join(log))
    found, _ = completed(tmp_path, kube)
    assert str(found).startswith(f"Backup b is started and will never end: {why}")
    assert "Every later Backup of the cluster waits behind it until it is deleted." in str(found)
    assert found.next_command == "kubectl delete backups.postgresql.cnpg.io b -n cmp, then launch a new run"
    assert kube.timeouts == [300, 300]


@pytest.mark.parametrize("log", ["", of_it("something", "another"), "\n".join((BEFORE, of_it("Plugin backup started")))])
def test_one_that_may_be_going_on_is_waited_for(tmp_path: Path, log: str) -> None:
    """Also when the log no longer reaches back to its beginning."""
    kube = Phases(in_phase("started"), log=log)
    found, _ = completed(tmp_path, kube)
    assert "took longer than" in str(found)
    assert len(kube.timeouts) == 49
