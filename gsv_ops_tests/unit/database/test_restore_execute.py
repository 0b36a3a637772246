"""A restore that failed is taken down, one that came up never is, and an answer that could not be had is no yes."""

from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import recovery, scratch_run
from gsv_ops.database.record import VERSION
from gsv_ops.database.restore import asking, execute, observe, verify
from gsv_ops.database.restore.asking import Answer
from gsv_ops.database.restore.params import RestoreDatabase
from gsv_ops.database.session import Unreachable
from gsv_ops.kube.errors import NotFound
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE, cluster
from gsv_ops_tests.unit.database.test_restore_plan import planned

NAME = "cmp-postgres-restored"


class Cmp:
    """A Kube with the restored Cluster of a run."""

    def __init__(self, run: str = "the-run") -> None:
        self.run = run

    def get(self, *_: Any) -> Object:
        return cluster(metadata__name=NAME, metadata__labels={"gsv-ops/run": self.run})


def desk(tmp_path: Path, kube: Any = None, run: str = "the-run", said: list[str] | None = None) -> Desk:
    log = (lambda _: None) if said is None else said.append
    return Desk(cast(Kube, kube), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), run, log)


def keep_failed(*, kept: bool) -> dict[str, Any]:
    return {"database": "cmp_postgres", "time": "", "keep_failed": kept, "instances": 1}


def executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, *, kept: bool = False) -> tuple[Desk, Journal, list[str], Any]:
    """A restore whose recovery ends as told, then its release; what was taken down, and what was raised."""
    taken: list[str] = []

    def create(_: Desk, action: Any, journal: Journal, lifetime: Any = None) -> Object:
        assert lifetime is None, "it would expire"
        journal.will_make(action.target)
        return cluster(metadata__name=action.target.name)

    def wait(*_: Any, **limits: Any) -> recovery.Recovered:
        assert limits["until"] is recovery.serves
        if isinstance(outcome, Exception):
            raise outcome
        return recovery.Recovered(cluster(), {"recovery": 5.0})

    def release_made(_: Desk, journal: Journal, __: float) -> list[str]:
        taken.extend(str(target) for target in journal.targets())
        return []

    for name in ("application", "state", "heartbeats"):
        monkeypatch.setattr(asking, name, lambda *_: [Answer("q", "yes", "fine")])
    monkeypatch.setattr(asking, "replicas", lambda *_: Answer("r", "yes", "fine"))
    monkeypatch.setattr(asking, "first_backup", lambda *_: Answer("b", "unknown", "the store is down"))
    monkeypatch.setattr(execute, "_whole", lambda *_: Answer("w", "yes", "fine"))
    monkeypatch.setattr(apply, "create", create)
    monkeypatch.setattr(recovery, "wait", wait)
    monkeypatch.setattr(apply, "release_made", release_made)
    monkeypatch.setattr(scratch_run, "volumes_left", lambda *_: [])
    at = desk(tmp_path)
    journal = Journal.open(at.records, "restore_database", "the-run")
    plan = planned()
    object.__setattr__(plan, "params", keep_failed(kept=kept))
    try:
        result: Any = execute.execute(at, plan, journal)
    except OperationFailed as problem:
        result = problem
    execute.release(at, journal)
    return at, journal, taken, result


def test_one_whose_recovery_failed_is_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, journal, taken, result = executed(tmp_path, monkeypatch, recovery.RecoveryFailed("no WAL"))
    assert str(result) == "no WAL"
    assert taken == [f"Cluster cmp/{NAME}"]
    assert (journal.released, journal.kept) == (True, False)


def test_it_stays_if_that_was_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, journal, taken, _ = executed(tmp_path, monkeypatch, recovery.RecoveryFailed("no WAL"), kept=True)
    assert (taken, journal.kept) == ([], True)


def test_one_that_takes_too_long_goes_on_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, journal, taken, result = executed(tmp_path, monkeypatch, recovery.RecoveryOverdue("12 h are over."))
    assert (taken, journal.kept) == ([], True)
    assert str(result) == "12 h are over. It was left as it is: re-execute this run from its failure to go on waiting."


def test_one_that_came_up_stays_whatever_is_found_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, journal, taken, result = executed(tmp_path, monkeypatch, None)
    assert (taken, journal.kept) == ([], True)
    assert {a["question"]: a["answer"] for a in result["answers"]} == {"q": "yes", "w": "yes", "r": "yes", "b": "unknown"}


def test_another_runs_restore_is_never_taken_down(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its worker was killed: the database in it may be in use by now."""
    at, _, _, _ = executed(tmp_path, monkeypatch, recovery.RecoveryFailed("x"), kept=True)
    said: list[str] = []
    journal = Journal.open(at.records, "restore_database", "the-run")
    journal.will_make(planned().actions[0].target)
    execute.release(desk(tmp_path, run="another", said=said), journal)
    assert journal.kept
    assert "re-execute that run to go on with it" in said[0]


@pytest.mark.parametrize(
    ("answers", "run", "status", "told"),
    [
        ((("a", "yes"), ("b", "yes")), "the-run", "good", "all 2 questions were answered with yes"),
        ((("a", "yes"), ("b", "no")), "the-run", "bad", "is restored and stays, but it is not as it should be: b: found b"),
        ((("a", "unknown"), ("b", "yes")), "the-run", "inconclusive", "is restored and stays; what could not be told: a: found a"),
        ((("a", "a word of tomorrow"),), "the-run", "inconclusive", "what could not be told: a: found a"),
        ((("a", "yes"),), "another", "bad", "is not the one that this run made"),
    ],
)
def test_only_yes_to_every_question_is_good(tmp_path: Path, answers: Any, run: str, status: str, told: str) -> None:
    facts = {asking.ENDED: 0x5000000}
    found = [{"question": q, "answer": a, "found": f"found {q}", "facts": facts} for q, a in answers]
    verdict = verify.verify(desk(tmp_path, Cmp(run)), planned(), {"cluster": NAME, "answers": found, "timings": {"fetch": 1}})
    assert verdict.status == status
    assert told in verdict.reason
    assert verdict.facts["ended at"] == "0/5000000"


@pytest.mark.parametrize("problem", [NotFound("gone"), OperationFailed("gone"), Unreachable("gone")])
def test_what_cannot_be_asked_is_unknown(problem: Exception) -> None:
    def ask() -> Answer:
        raise problem

    assert asking._asked("q", ask) == Answer("q", "unknown", "gone")


def test_as_of_a_proof_is_what_its_fingerprint_says(tmp_path: Path) -> None:
    at = desk(tmp_path)
    proof = {"backup_uid": "u-1", "backup_id": "id-1", "rows": 1, "tables": 1}
    for number in (1, 2):
        body = {**proof, "backup": f"b{number}", "backup_uid": f"u-{number}", "run_id": f"r-{number}", "backup_id": f"id-{number}"}
        at.records.write(f"proofs/cmp-cmp-postgres-agent_registry/u-{number}", {**body, "proven_at": f"2026-11-2{number}T00:00:00+00:00"})
    taken = {"version": VERSION, "lsn": "0/5000000", "timeline": 3}
    at.records.write("fingerprints/cmp-cmp-postgres-agent_registry/u-2", {"fingerprint": taken})
    for named in ("newest", "b2", "r-2", "id-2"):
        goal, problems = observe._goal(at, DATABASE, RestoreDatabase(proof=named), ())
        assert (goal.kind, goal.lsn, goal.timeline, goal.backup_id, problems) == ("proof", 0x5000000, 3, "id-2", [])
    assert observe._goal(at, DATABASE, RestoreDatabase(proof="b1"), ())[1] == [
        "the fingerprint that the proof of Backup b1 compared with is not kept any more"
    ]
    assert observe._goal(at, DATABASE, RestoreDatabase(proof="b3"), ())[1] == ["no proof 'b3' is known here; proven Backups: b1, b2"]


def test_a_source_that_is_gone_and_not_remembered_is_told_how_to_mend(tmp_path: Path) -> None:
    class Gone:
        def get(self, *_: Any) -> Object:
            raise NotFound('clusters "cmp-postgres" does not exist.')

    with pytest.raises(OperationFailed) as refused:
        observe._source(desk(tmp_path, Gone()), DATABASE)
    assert "Nothing is remembered of it either" in str(refused.value)
    assert "sources/dev-cmp-cmp-postgres-agent_registry.json" in str(refused.value)
