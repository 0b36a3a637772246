"""prune_jobs takes what has ended by its conditions and nobody looks after; every other Job stays, with the reason."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.cleanup.finished_jobs import PruneJobs, Seen, plan
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.cleanup.bodies import NOW, OLD, frame, metadata, put, reference, stamp

SPEC = spec.load(None)


def job(name: str = "j", *, outcome: str = "Complete", at: datetime = OLD, owner: Object | None = None, **more: Any) -> Object:
    status = {"startTime": stamp(at), "conditions": [{"type": outcome, "status": "True", "lastTransitionTime": stamp(at)}]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata(name, owner=owner, **more), "spec": {}, "status": status}


def cron_job(**limits: int) -> Object:
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata("nightly"), "spec": limits}


OF_CRON_JOB = reference("CronJob", "nightly", "uid-nightly", "batch/v1")


def planned(jobs: list[Object], cron_jobs: tuple[Object, ...] = (), over: frozenset[str] = frozenset(), **params: Any) -> Plan:
    return plan(SPEC, Seen(tuple(jobs), cron_jobs, over), PruneJobs(**params), frame("prune_jobs"), NOW)


def why(made: Plan, name: str = "j") -> str:
    return next((kept.reason for kept in made.kept if kept.target.name == name), "it goes")


STAYS: list[tuple[str, str, Any, str]] = [
    ("being deleted", "metadata/deletionTimestamp", stamp(NOW), "it is being deleted already"),
    ("marked", "metadata/annotations", {"gsv-ops/keep": ""}, "it has the annotation gsv-ops/keep"),
    ("running", "status/conditions", [], "it has not ended"),
    ("one of its pods done", "status", {"succeeded": 1, "active": 2}, "it has not ended"),
    ("about to fail", "status/conditions", [{"type": "FailureTarget", "status": "True"}], "it has not ended"),
    ("not complete", "status/conditions", [{"type": "Complete", "status": "False"}], "it has not ended"),
    ("of no known end", "status/conditions", [{"type": "Complete", "status": "True"}], "does not say since when"),
    ("with a pod that runs", "status/active", 1, "1 of its pods are still active"),
    ("with a pod that goes", "status/terminating", 1, "1 of its pods are still terminating"),
    ("suspended", "spec/suspend", True, "it is suspended"),
    ("with a time to live", "spec/ttlSecondsAfterFinished", 0, "it removes itself"),
    ("an Argo CD hook", "metadata/annotations", {"argocd.argoproj.io/hook": "PreSync"}, "it is an Argo CD hook"),
    ("tracked", "metadata/annotations", {"argocd.argoproj.io/tracking-id": "app:batch/Job:cmp/j"}, "Argo CD tracks it as app"),
    ("a Helm test", "metadata/annotations", {"helm.sh/hook": "test"}, "it is a Helm hook or test"),
    ("Helm's", "metadata/annotations", {"meta.helm.sh/release-name": "r"}, "it is of Helm release r"),
    ("an installed one", "metadata/labels", {"app.kubernetes.io/instance": "portal"}, "it belongs to portal"),
    ("a database's", "metadata/labels", {"cnpg.io/cluster": "pg"}, "it is CloudNativePG's"),
    (
        "a database's by owner",
        "metadata/ownerReferences",
        [reference("Cluster", "pg", "u", "postgresql.cnpg.io/v1")],
        "it is CloudNativePG's",
    ),
    ("Velero's", "metadata/labels", {"velero.io/backup-name": "b"}, "it is Velero's"),
    ("a run's worker", "metadata/labels", {"dagster/run-id": "r"}, "it is Dagster's"),
    ("a run's worker by name", "metadata/labels", {"app.kubernetes.io/name": "dagster"}, "it is Dagster's"),
    ("this desk's", "metadata/labels", {"gsv-ops/run": "12345678-1"}, "run 12345678 made it"),
    ("another controller's", "metadata/ownerReferences", [reference("Workflow", "w", "u", "argoproj.io/v1")], "it belongs to Workflow w"),
    ("of a lost CronJob", "metadata/ownerReferences", [reference("CronJob", "gone", "u", "batch/v1")], "its CronJob gone is not there"),
    ("just completed", "status/conditions/0/lastTransitionTime", stamp(NOW - timedelta(hours=23)), "completed less than 24 hours ago"),
]


def test_what_ended_long_ago_goes_with_its_pods() -> None:
    made = planned([job()])
    (action,) = made.actions
    assert action.reason == "completed 2026-10-15 06:00 UTC; its pods go with it"
    assert action.guard["status.active"] is None
    assert action.guard["metadata.annotations.gsv-ops/keep"] is None


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in STAYS], ids=[row[0] for row in STAYS])
def test_what_stays_and_why(path: str, value: Any, said: str) -> None:
    assert said in why(planned([put(job(), path, value)]))


@pytest.mark.parametrize(("outcome", "hours", "stays"), [("Complete", 23, 1), ("Complete", 25, 0), ("Failed", 167, 1), ("Failed", 169, 0)])
def test_how_long_depends_on_the_outcome(outcome: str, hours: int, stays: int) -> None:
    assert len(planned([job(outcome=outcome, at=NOW - timedelta(hours=hours))]).kept) == stays


def test_what_a_run_of_this_desk_made_goes_when_the_run_is_over() -> None:
    body = job(labels={"gsv-ops/run": "r-1"})
    assert len(planned([body], over=frozenset({"r-1"})).actions) == 1


@pytest.mark.parametrize(
    ("limits", "kept"),
    [
        ({}, ["c-3", "c-4", "c-5", "f-5"]),
        ({"successfulJobsHistoryLimit": 1, "failedJobsHistoryLimit": 2}, ["c-5", "f-4", "f-5"]),
        ({"successfulJobsHistoryLimit": 0, "failedJobsHistoryLimit": 0}, []),
    ],
)
def test_a_cron_job_keeps_its_newest_of_each_outcome(limits: dict[str, int], kept: list[str]) -> None:
    jobs = [
        job(f"{outcome[0].lower()}-{n}", outcome=outcome, at=OLD + timedelta(days=n), owner=OF_CRON_JOB)
        for outcome in ("Complete", "Failed")
        for n in range(1, 6)
    ]
    made = planned(jobs, (cron_job(**limits),))
    assert sorted(k.target.name for k in made.kept) == kept
    assert all("that its CronJob nightly keeps" in k.reason for k in made.kept)


def test_of_two_that_started_together_neither_takes_the_others_place() -> None:
    jobs = [job(f"j-{n}", outcome="Failed", owner=OF_CRON_JOB) for n in range(3)]
    assert len(planned(jobs, (cron_job(),)).kept) == 3


HOURS = st.integers(0, 400)
ENDED = st.tuples(st.sampled_from(["Complete", "Failed"]), st.just("True"), HOURS)
CONDITIONS = st.one_of(
    ENDED,
    ENDED,
    st.tuples(
        st.sampled_from(["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet", "Suspended"]),
        st.sampled_from(["True", "False", "Unknown"]),
        st.one_of(st.none(), HOURS),
    ),
)
OWNERS = st.sampled_from(
    [
        None,
        None,
        OF_CRON_JOB,
        OF_CRON_JOB,
        reference("CronJob", "nightly", "uid-of-another", "batch/v1"),
        reference("Workflow", "w", "u", "argoproj.io/v1"),
        reference("Cluster", "pg", "u", "postgresql.cnpg.io/v1"),
    ]
)
ANNOTATIONS = ("gsv-ops/keep", "argocd.argoproj.io/hook", "argocd.argoproj.io/tracking-id", "helm.sh/hook", "meta.helm.sh/release-name")
LABELS = ("cnpg.io/cluster", "velero.io/backup-name", "dagster/run-id", "gsv-ops/run", "app.kubernetes.io/instance", "app")


@st.composite
def clusters(draw: st.DrawFn) -> list[Object]:
    """Jobs in whatever state an API server could show, also states that no controller would leave."""
    jobs = []
    for number in range(draw(st.integers(0, 7))):
        status: dict[str, Any] = {"startTime": stamp(NOW - timedelta(hours=draw(HOURS)))}
        status["conditions"] = [
            {"type": type_, "status": value, **({} if since is None else {"lastTransitionTime": stamp(NOW - timedelta(hours=since))})}
            for type_, value, since in draw(st.lists(CONDITIONS, min_size=draw(st.integers(0, 1)), max_size=2, unique_by=lambda c: c[0]))
        ]
        status |= draw(st.dictionaries(st.sampled_from(["active", "terminating", "succeeded", "failed"]), st.integers(0, 2), max_size=1))
        marks = draw(st.dictionaries(st.sampled_from(ANNOTATIONS), st.just("x"), max_size=1))
        named = draw(st.dictionaries(st.sampled_from(LABELS), st.sampled_from(["x", "over"]), max_size=1))
        body = job(f"j-{number}", owner=draw(OWNERS), annotations=marks, labels=named)
        spec_ = draw(st.sampled_from([{}, {}, {"suspend": True}, {"suspend": False}, {"ttlSecondsAfterFinished": 60}]))
        if draw(st.integers(0, 9)) == 0:
            body = put(body, "metadata/deletionTimestamp", stamp(NOW))
        jobs.append({**body, "spec": spec_, "status": status})
    return jobs


@settings(max_examples=400)
@given(clusters(), st.integers(0, 200), st.integers(0, 200), st.integers(0, 3), st.integers(0, 3))
def test_no_cluster_makes_it_take_what_it_must_not(
    jobs: list[Object], complete: int, failed: int, successful: int, unsuccessful: int
) -> None:
    keeps = cron_job(successfulJobsHistoryLimit=successful, failedJobsHistoryLimit=unsuccessful)
    made = planned(jobs, (keeps,), frozenset({"over"}), complete_older_than_hours=complete, failed_older_than_hours=failed)
    told = sorted([*(a.target.uid for a in made.actions), *(k.target.uid for k in made.kept)])
    assert told == sorted(objects.uid(body) for body in jobs), "every one is an action or kept, once"
    assert all(kept.reason for kept in made.kept)
    by_uid = {objects.uid(body): body for body in jobs}
    gone = {action.target.uid for action in made.actions}
    for uid in gone:
        body = by_uid[uid]
        said, status = body["metadata"], body["status"]
        ends = {c["type"]: c.get("lastTransitionTime") for c in status["conditions"] if c["status"] == "True"}
        outcome = "Failed" if "Failed" in ends else "Complete"
        assert outcome in ends, "one that has not ended"
        assert NOW - objects.parse_time(ends[outcome]) >= timedelta(hours=failed if outcome == "Failed" else complete), "a young one"
        assert not status.get("active"), "one with pods"
        assert not status.get("terminating"), "one with pods"
        assert not body["spec"].get("suspend")
        assert "ttlSecondsAfterFinished" not in body["spec"]
        assert "deletionTimestamp" not in said
        assert not said["annotations"], "a marked one, a hook, or what would be made anew"
        assert set(said["labels"].items()) <= {("app", "x"), ("app", "over"), ("gsv-ops/run", "over"), *_installed(body)}
        owners = said.get("ownerReferences", [])
        assert owners in ([], [OF_CRON_JOB]), "another controller's"
        if owners:
            limit = unsuccessful if outcome == "Failed" else successful
            alike = [b for b in jobs if objects.uid(b) not in gone and b["metadata"].get("ownerReferences") == [OF_CRON_JOB]]
            alike = [b for b in alike if any(c.true and c.type == outcome for c in objects.conditions(b)) and not objects.deleting(b)]
            newer = [b for b in alike if b["status"]["startTime"] > status["startTime"]]
            assert len(newer) >= limit, "what its CronJob keeps"


def _installed(body: Object) -> set[tuple[str, str]]:
    """Under a controller that label is the controller's template's: it makes nothing anew by it."""
    return {("app.kubernetes.io/instance", value) for value in ("x", "over")} if body["metadata"].get("ownerReferences") else set()
