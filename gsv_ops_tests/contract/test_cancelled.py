"""Every operation, cancelled in each of its steps: it ends as cancelled, says what it changed, owns nothing, and can be run again.

`backup_database` and `prove_backup` need a database: they are cancelled in gsv_ops_tests/cluster/test_cancelled.py.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from upath import UPath

from gsv_ops.cleanup.jobs import JOBS, PODS, REPLICASETS
from gsv_ops.housekeeping.jobs import FREEZE, UNDO, UNFREEZE
from gsv_ops.kube import objects
from gsv_ops.kube.errors import AlreadyExists
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import JOB, LEASE, POD, REPLICA_SET, Resource
from gsv_ops.operations import freeze
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.records import Records
from gsv_ops_tests.contract.cancelling import MOMENTS, Cancelling, Moment, interruptible
from gsv_ops_tests.contract.in_process import DeskHere, desk_here
from gsv_ops_tests.contract.test_prune import history, job, names, pod

PLACE = "cmp"
NOW = {"older_than_hours": 0}
ENDED = {"complete_older_than_hours": 0, "failed_older_than_hours": 0}
FOUR = re.compile(r"cancelled\nChanged: (?P<changed>.+)\.\nNot changed: .+\.\nRun it again: .+\nNext: .+")


@dataclass(frozen=True)
class Case:
    """One operation: what it finds, its configuration, how many writes it does, and what of the cluster it changes."""

    job: dg.JobDefinition
    prepare: Callable[[Kube, DeskHere, str], dict[str, Any]]
    writes: int
    state: Callable[[Kube, str], list[str]]


def _replica_sets(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    history(kube, namespace, "web", 5)
    return {"namespace": namespace, **NOW}


def _jobs(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    for name in ("done", "done-too"):
        job(kube, namespace, name, "Complete")
    return {"namespace": namespace, **ENDED}


def _pods(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    for name in ("evicted", "evicted-too"):
        pod(kube, namespace, name, "Failed")
    return {"namespace": namespace, **NOW}


def _deleted(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    return {"run": desk.apply(REPLICASETS, **_replica_sets(kube, desk, namespace))}


def _thawed(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    try:
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": PLACE}})
    except AlreadyExists:
        for body in kube.list(LEASE, PLACE):
            kube.delete(LEASE, objects.name(body), PLACE, uid=objects.uid(body))
    return {"reason": "storage is moved", "who": "ada"}


def _frozen(kube: Kube, desk: DeskHere, namespace: str) -> dict[str, Any]:
    assert desk.run(FREEZE, mode="apply", **_thawed(kube, desk, namespace)).success
    return {"who": "ada"}


def _of(resource: Resource) -> Callable[[Kube, str], list[str]]:
    return lambda kube, namespace: names(kube, namespace, resource)


def _freeze(kube: Kube, namespace: str) -> list[str]:
    return [objects.name(body) for body in kube.list(LEASE, PLACE) if objects.name(body) == freeze.NAME]


CASES = {
    "prune_replicasets": Case(REPLICASETS, _replica_sets, 2, _of(REPLICA_SET)),
    "prune_jobs": Case(JOBS, _jobs, 2, _of(JOB)),
    "prune_pods": Case(PODS, _pods, 2, _of(POD)),
    "undo": Case(UNDO, _deleted, 2, _of(REPLICA_SET)),
    "freeze_desk": Case(FREEZE, _thawed, 1, _freeze),
    "unfreeze_desk": Case(UNFREEZE, _frozen, 1, _freeze),
}


@pytest.fixture
def desk(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DeskHere]:
    monkeypatch.delenv("GSV_PLATFORM_FILE", raising=False)
    with desk_here(kube, tmp_path, monkeypatch) as here:
        yield here


def cancelled(
    case: Case, moment: Moment, kube: Kube, desk: DeskHere, config: dict[str, Any]
) -> tuple[dg.ExecuteInProcessResult, Cancelling]:
    """A run by the plan that was read, cancelled at that moment."""
    counting: Any = Cancelling(kube, desk.instance)
    planned = desk.run(case.job, counting, mode="plan", **config)
    cancelling: Any = Cancelling(kube, desk.instance, moment, counting.looks, case.writes)
    with interruptible():
        return desk.run(case.job, cancelling, mode="apply", plan_id=desk.shown(planned)["plan"], **config), cancelling


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("operation", CASES)
def test_cancelled(operation: str, moment: Moment, kube: Kube, desk: DeskHere, namespace: str) -> None:
    case = CASES[operation]
    config = case.prepare(kube, desk, namespace)
    before = case.state(kube, namespace)
    ran, cancelling = cancelled(case, moment, kube, desk, config)
    assert cancelling.cancelled, "that moment never came"

    run = desk.instance.get_run_by_id(ran.run_id)
    assert run is not None
    assert run.status == dg.DagsterRunStatus.CANCELED
    told = FOUR.search("\n".join(entry.user_message for entry in desk.instance.all_logs(ran.run_id)))
    assert told, "the four lines are not in the log"
    changed = case.state(kube, namespace) != before
    if changed:
        assert told["changed"] != "nothing", "something was changed, and it says otherwise"
    if moment in ("plan", "apply, before it writes"):
        assert not changed
    if moment == "verify":
        assert changed
        assert "perhaps" not in told["changed"]
    assert Journal.unreleased(Records(UPath(desk.root / "evidence")), operation) == [], "it owns something still"

    config = {**config, "plan_id": desk.plan(case.job, **config)}
    assert desk.run(case.job, mode="apply", **config).success
    assert case.state(kube, namespace) != before


def test_every_cancellation_leaves_evidence_once_something_could_have_been_done(kube: Kube, desk: DeskHere, namespace: str) -> None:
    case = CASES["prune_jobs"]
    config = case.prepare(kube, desk, namespace)
    ran, _ = cancelled(case, "in the first write", kube, desk, config)
    [record] = [path.read_text() for path in (desk.root / "evidence" / "evidence").rglob(f"{ran.run_id}-*.json")]
    assert '"status": "cancelled"' in record
