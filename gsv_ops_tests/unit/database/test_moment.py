"""Which moment is proven, that it can be repeated, and what counts as proof of it."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from upath import UPath

from gsv_ops.database import ended, heartbeats_asked, scratch_run
from gsv_ops.database.ended import Left
from gsv_ops.database.heartbeats_kept import Kept, Row
from gsv_ops.database.moment import execute, verify
from gsv_ops.database.moment.plan import LARGEST_SEED, MomentSnapshot, ProvePointInTime, choose, ends, plan, seed_of
from gsv_ops.database.recovery import Recovered, RecoveryFailed, RecoveryOverdue
from gsv_ops.database.session import Unreachable
from gsv_ops.kube.protocol import ExecResult, Kube, Object
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk
from gsv_ops.operations.plan import Plan
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import FRAME, OBJECT_STORE, cluster
from gsv_ops_tests.unit.database.test_window import LAST_COMMIT, NOW, SIMPLE, SWITCHED, minute

SEEN = MomentSnapshot(cluster(), OBJECT_STORE, SWITCHED, 7, minute(0), (), (), (("10.1.0.1", 6443),))


def planned(params: dict[str, Any] | None = None, **parts: Any) -> Plan:
    return plan(spec.load(None), replace(SEEN, **parts), ProvePointInTime(**(params or {})), FRAME, NOW)


def refusals(made: Plan) -> str:
    assert made.actions == ()
    return " | ".join(refusal.reason for refusal in made.refused)


@given(st.integers(1, LARGEST_SEED), st.floats(-50, 50))
def test_every_seed_is_a_moment_that_can_be_reached(seed: int, first: float) -> None:
    snapshot = replace(SEEN, seed=seed, first=minute(first))
    between = ends(snapshot)
    moment, why = choose(snapshot, ProvePointInTime())
    if between is None:
        assert (moment, bool(why)) == (None, True)
        return
    assert moment is not None
    assert between[0] <= moment <= between[1] < LAST_COMMIT.at
    assert planned({}, seed=seed, first=minute(first)).refused == ()
    assert choose(snapshot, ProvePointInTime())[0] == moment, "the same seed is another moment"


def test_the_plan_is_applied_and_repeated_with_the_moment_that_it_shows() -> None:
    made = planned()
    again = planned({"seed": made.params["seed"], "moment": made.params["moment"]}, seed=made.params["seed"])
    assert again.id == made.id
    later = replace(SWITCHED, last_commit=replace(LAST_COMMIT, at=minute(39.9)))
    assert planned({"moment": made.params["moment"]}, window=later).params["moment"] == made.params["moment"]
    assert planned({}, window=later).params["moment"] != made.params["moment"], "the window has grown"
    assert (made.params["seed"], made.shown["seed"]) == (7, 7)
    assert seed_of("a") != seed_of("b")
    assert 0 < seed_of("a") <= LARGEST_SEED


@pytest.mark.parametrize(("at", "base", "timeline"), [(24, "base-2", 1), (26.5, "base-2", 1), (31.5, "base-3", 2)])
def test_on_each_side_of_a_switchover_it_begins_from_the_newest_base_backup_before(at: float, base: str, timeline: int) -> None:
    made = planned({"moment": minute(at).isoformat()})
    assert (made.facts["base backup"], made.facts["base backup's timeline"], made.facts["timeline"]) == (base, timeline, 2)
    body = made.actions[1].body
    assert body is not None
    assert body["spec"]["bootstrap"]["recovery"]["recoveryTarget"] == {
        "backupID": base,
        "targetTLI": "2",
        "targetTime": minute(at).isoformat(),
    }
    assert not body["spec"].get("plugins"), "a drill archives nothing"
    assert [str(action.target) for action in made.actions] == [
        "NetworkPolicy cmp/cmp-postgres-moment-{run}",
        "Cluster cmp/cmp-postgres-moment-{run}",
    ]


@pytest.mark.parametrize(
    ("params", "parts", "told"),
    [
        ({}, {"first": None}, "there is no stretch of time that a base backup, archived commits and heartbeats all cover"),
        ({}, {"window": replace(SIMPLE, last_commit=None)}, "there is no stretch of time"),
        ({}, {"window": replace(SIMPLE, bases=())}, "there is no stretch of time"),
        ({"moment": minute(60).isoformat()}, {}, "is not before the last commit in the archive"),
        ({"moment": minute(1).isoformat()}, {}, "lies before the end of the first base backup"),
        ({"moment": minute(35).isoformat()}, {"window": replace(SIMPLE, last_commit=None)}, "can be reached is not proven"),
        ({}, {"cluster": cluster(status__targetPrimary="other")}, "the source is switching over"),
    ],
)
def test_what_cannot_be_proven_is_refused(params: dict[str, Any], parts: dict[str, Any], told: str) -> None:
    assert told in refusals(planned(params, **parts))


def test_a_naive_moment_is_refused() -> None:
    with pytest.raises(ValidationError, match="has no offset"):
        ProvePointInTime(moment="2026-11-27T06:00:00")


ROW = Row(minute(29), 100)
ALL = Kept("yes", "all 9 heartbeats are there", 9, ROW, replace(ROW, at=minute(30)))
HISTORY = (Left(1, 5, ""), Left(2, 0x1F000000, "before 2026-11-27"))


class Pods:
    def exec(self, *_: Any, **__: Any) -> ExecResult:
        raise AssertionError

    def list(self, *_: Any, **__: Any) -> list[Object]:
        return []


def judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, kept: Any = ALL, history: tuple[Left, ...] = HISTORY) -> Any:
    at = Desk(cast(Kube, Pods()), spec.load(None), "dev", "c-1", Records(UPath(tmp_path)), "the-run", lambda _: None)

    def restore(*_: Any) -> Recovered:
        if isinstance(outcome, Exception):
            raise outcome
        return Recovered(cluster(metadata__name="scratch"), {"recovery": 40.0, "fetch": 1.0, "replay": 2.0})

    def compared(_: Desk, origin: Any, restored: Any, end: Any, timeline: int) -> Kept:
        assert (origin.cluster, restored.cluster, end.lsn, timeline) == ("cmp-postgres", "scratch", history[-1].lsn, 2)
        if isinstance(kept, Exception):
            raise kept
        return cast(Kept, kept)

    monkeypatch.setattr(scratch_run, "restore", restore)
    monkeypatch.setattr(ended, "history", lambda *_: history)
    monkeypatch.setattr(heartbeats_asked, "asked", lambda *_: 3)
    monkeypatch.setattr(heartbeats_asked, "compared", compared)
    made = planned()
    results = execute.execute(at, made, Journal.open(at.records, "prove_point_in_time", "the-run"))
    return verify.verify(at, made, results)


@pytest.mark.parametrize(
    ("outcome", "kept", "history", "status", "told"),
    [
        (None, ALL, HISTORY, "good", "all 9 heartbeats are there"),
        (None, replace(ALL, answer="no", found="2 are missing"), HISTORY, "bad", "2 are missing"),
        (None, replace(ALL, answer="unknown", found="no source"), HISTORY, "inconclusive", "no source"),
        (None, replace(ALL, before=0), HISTORY, "inconclusive", "no heartbeat is certainly from before the moment"),
        (None, ALL, HISTORY[:1], "bad", "it ended on timeline 1, expected 2: commits of after a switchover are missing"),
        (None, Unreachable("gone"), HISTORY, "inconclusive", "the restored database could not be asked: gone"),
        (RecoveryFailed("no WAL"), ALL, HISTORY, "bad", "no WAL"),
        (RecoveryOverdue("too long"), ALL, HISTORY, "inconclusive", "too long"),
    ],
)
def test_only_heartbeats_of_before_and_none_of_after_prove_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Any, kept: Any, history: tuple[Left, ...], status: str, told: str
) -> None:
    verdict = judged(tmp_path, monkeypatch, outcome, kept, history)
    assert (verdict.status, told in verdict.reason) == (status, True), verdict.reason
    assert verdict.facts["seed"] == 7
    assert datetime.fromisoformat(verdict.facts["moment, to repeat it"]) - minute(11) > timedelta()


def test_without_a_history_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(tmp_path, monkeypatch, None, ALL, ()).status == "inconclusive"
