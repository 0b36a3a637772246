"""The cleanups on real Deployments, Jobs and pods: planned, applied by the plan's id, twice at once, and put back.

What each plan says and what the cluster holds afterwards is read with the official client. One set of workloads and one round of runs
for the whole file: the runs of a round are launched together.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from gsv_sandbox.runs import Run

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.workloads import Workloads

pytestmark = pytest.mark.cluster

NAMESPACE, MOVES = "gsv-prune", "gsv-prune-moves"
NOW = {"older_than_hours": 0}
SETS = {"namespace": NAMESPACE, "keep": 1, **NOW}
MOVING = {"namespace": MOVES, "keep": 0, **NOW}
JOBS = {"namespace": NAMESPACE, "complete_older_than_hours": 0, "failed_older_than_hours": 0}
PODS = {"namespace": NAMESPACE, **NOW}
RUN_SECONDS = 120


@dataclass(frozen=True)
class Before:
    """What stood before anything was deleted: names, uids and specs, as the API server gave them."""

    sets: Mapping[str, Any]
    jobs: Mapping[str, Any]
    pods: Mapping[str, Any]


@dataclass(frozen=True)
class Applied:
    """The runs that applied a plan; `twice` by the same one, launched at once."""

    twice: tuple[Run, Run]
    jobs: Run
    pods: Run
    moved: Run
    sets_after: frozenset[str]
    jobs_after: frozenset[str]
    pods_after: frozenset[str]


@pytest.fixture(scope="module")
def space(outside: Outside) -> Iterator[Workloads]:
    """The namespaces with everything in them, at rest."""
    here, moving = Workloads(outside, NAMESPACE), Workloads(outside, MOVES)
    try:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(Workloads.make, (here, moving)))
        with ThreadPoolExecutor(4) as pool:
            made = [
                pool.submit(here.deployment, "web", 4),
                pool.submit(_asleep, here),
                pool.submit(moving.deployment, "moves", 2),
                pool.submit(_jobs_and_pods, here),
            ]
            for one in made:
                one.result()
        yield here
    finally:
        here.remove()
        moving.remove()


def _asleep(here: Workloads) -> None:
    here.deployment("asleep", 3)
    here.scale("asleep", 0)


def _jobs_and_pods(here: Workloads) -> None:
    owner = here.cron_job("nightly", successfulJobsHistoryLimit=2)
    here.job("nightly-1", "true", owner)
    here.job("nightly-2", "true", owner)
    here.job("done", "echo done")
    here.job("failed", "exit 3")
    # of its three pods the first is done, and two go on
    here.job("parallel", '[ "$JOB_COMPLETION_INDEX" = 0 ] || sleep 3600', completions=3, parallelism=3, completionMode="Indexed")
    here.job("suspended", "true", suspend=True)
    here.pod("ended", "true")
    here.pod("broken", "exit 3")
    here.pod("runs", "sleep 3600")
    here.ended("nightly-1", "nightly-2", "done", "failed")
    here.phases({"ended": "Succeeded", "broken": "Failed", "runs": "Running"})
    until(
        lambda: here.jobs()["parallel"].status.succeeded == 1 and here.jobs()["parallel"].status.active == 2, 60, "one of three pods done"
    )


@pytest.fixture(scope="module")
def before(space: Workloads) -> Before:
    sets = {one.metadata.name: one for name in ("web", "asleep") for one in space.replica_sets(name).values()}
    return Before(sets, space.jobs(), space.pods())


@pytest.fixture(scope="module")
def plans(a_desk: ADesk, before: Before) -> dict[str, Run]:
    """Each plan, made in mode `plan`."""
    asked = {
        "sets": ("prune_replicasets", SETS),
        "moving": ("prune_replicasets", MOVING),
        "jobs": ("prune_jobs", JOBS),
        "pods": ("prune_pods", PODS),
    }
    runs = {name: a_desk.launch(job, {"mode": "plan", **config}) for name, (job, config) in asked.items()}
    for run in runs.values():
        a_desk.follow(run, RUN_SECONDS)
        assert run.status == "SUCCESS", run.failure
    return runs


@pytest.fixture(scope="module")
def applied(a_desk: ADesk, space: Workloads, plans: dict[str, Run]) -> Applied:
    """Every plan applied by its id, one of them by two runs at once, and one after the cluster has moved on."""
    assert set(space.jobs()) == {"nightly-1", "nightly-2", "done", "failed", "parallel", "suspended"}, "a plan changes nothing"
    moving = Workloads(space.outside, MOVES)
    first = moving.replica_sets("moves")[1].metadata.name
    space.outside.apps.patch_namespaced_replica_set(first, MOVES, {"metadata": {"annotations": {"gsv-ops/keep": "ticket 17"}}})

    def launch(job: str, plan: str, config: Mapping[str, Any]) -> Run:
        return a_desk.launch(job, {"mode": "apply", "plan_id": plans[plan].outputs["plan"]["plan"], **config})

    twice = (launch("prune_replicasets", "sets", SETS), launch("prune_replicasets", "sets", SETS))
    jobs, pods, moved = (
        launch("prune_jobs", "jobs", JOBS),
        launch("prune_pods", "pods", PODS),
        launch("prune_replicasets", "moving", MOVING),
    )
    for run in (*twice, jobs, pods, moved):
        a_desk.follow(run, 2 * RUN_SECONDS)
    names = frozenset(one.metadata.name for name in ("web", "asleep") for one in space.replica_sets(name).values())
    until(lambda: not any(_is_of(pod, ("done", "failed")) for pod in space.pods().values()), 30, "the ended Jobs' pods to be gone too")
    return Applied(twice, jobs, pods, moved, names, frozenset(space.jobs()), frozenset(space.pods()))


@pytest.fixture(scope="module")
def undone(a_desk: ADesk, applied: Applied) -> dict[str, Run]:
    """What was deleted put back: the ReplicaSets by the plan of their undo, which was read before."""
    done = next(run for run in applied.twice if run.status == "SUCCESS")
    shown = a_desk.launch("undo", {"mode": "plan", "run": done.run_id})
    runs = {"jobs": a_desk.launch("undo", {"mode": "apply", "run": applied.jobs.run_id})}
    runs["pods"] = a_desk.launch("undo", {"mode": "apply", "run": applied.pods.run_id[:8]})
    runs["plan"] = a_desk.follow(shown, RUN_SECONDS)
    plan = shown.outputs["plan"]["plan"]
    runs["sets"] = a_desk.launch("undo", {"mode": "apply", "plan_id": plan, "run": done.run_id})
    for run in runs.values():
        a_desk.follow(run, RUN_SECONDS)
        assert run.status == "SUCCESS", run.failure
    return runs


def test_the_plan_names_old_replica_sets_only_and_says_why_the_others_stay(space: Workloads, before: Before, plans: dict[str, Run]) -> None:
    web, asleep = (_named(before.sets, name) for name in ("web", "asleep"))
    assert _planned(plans["sets"]) == {web[1], web[2], asleep[1]}
    kept = _kept(plans["sets"])
    assert kept[web[4]] == "it is the current one, revision 4"
    assert kept[asleep[3]] == "it is the current one, revision 3", "scaled to 0, it is still what the Deployment runs"
    assert "which a rollback needs (revision 3)" in kept[web[3]]


def test_the_plan_takes_jobs_that_ended_and_no_other(plans: dict[str, Run]) -> None:
    assert _planned(plans["jobs"]) == {"done", "failed"}
    kept = _kept(plans["jobs"])
    assert kept["parallel"] == "it has not ended", "one of its pods is done"
    assert kept["suspended"] == "it is suspended"
    assert "among the 2 that its CronJob nightly keeps" in kept["nightly-1"]


def test_the_plan_takes_pods_that_ended_and_no_other(before: Before, plans: dict[str, Run]) -> None:
    assert _planned(plans["pods"]) == {"ended", "broken"}
    kept = _kept(plans["pods"])
    assert kept["runs"] == "it has not ended: its phase is Running"
    of_jobs = [name for name, pod in before.pods.items() if _is_of(pod, ("done", "failed", "nightly-1"))]
    assert of_jobs
    assert all("which counts it, and goes with it" in kept[name] for name in of_jobs)


def test_each_plan_is_applied_and_nothing_else_goes(before: Before, plans: dict[str, Run], applied: Applied) -> None:
    assert applied.sets_after == set(before.sets) - _planned(plans["sets"])
    assert applied.jobs.status == "SUCCESS", applied.jobs.failure
    assert applied.jobs_after == set(before.jobs) - {"done", "failed"}
    assert applied.pods.status == "SUCCESS", applied.pods.failure
    gone = {name for name, pod in before.pods.items() if _is_of(pod, ("done", "failed"))}
    assert applied.pods_after == set(before.pods) - {"ended", "broken"} - gone, "with the Jobs their pods, and only theirs"


def test_of_two_runs_at_once_by_one_plan_one_does_it_and_the_other_changes_nothing(applied: Applied) -> None:
    by_status = {run.status: run for run in applied.twice}
    assert set(by_status) == {"SUCCESS", "FAILURE"}, [run.failure for run in applied.twice]
    assert "the cluster has moved on since plan" in by_status["FAILURE"].failure
    assert "Changed: nothing." in by_status["FAILURE"].failure


def test_a_change_between_plan_and_apply_refuses(space: Workloads, applied: Applied) -> None:
    assert applied.moved.status == "FAILURE"
    assert f"action no longer planned: delete ReplicaSet {MOVES}/moves-" in applied.moved.failure
    assert "Changed: nothing." in applied.moved.failure
    assert sorted(Workloads(space.outside, MOVES).replica_sets("moves")) == [1, 2]


def test_undo_puts_replica_sets_back_as_they_were_and_to_their_deployment(space: Workloads, before: Before, undone: dict[str, Run]) -> None:
    assert "it goes back to Deployment web" in _why(undone["plan"])
    after = {one.metadata.name: one for name in ("web", "asleep") for one in space.replica_sets(name).values()}
    assert set(after) == set(before.sets)
    for name, one in after.items():
        assert one.spec == before.sets[name].spec, name
        assert one.metadata.labels == before.sets[name].metadata.labels
        assert one.metadata.owner_references == before.sets[name].metadata.owner_references
    assert len(space.pods("app=web")) == 1, "an old revision that is back runs nothing"


def test_undo_puts_jobs_and_pods_back_and_none_of_them_runs_again(space: Workloads, before: Before, undone: dict[str, Run]) -> None:
    jobs, pods = space.jobs(), space.pods()
    assert set(jobs) == set(before.jobs)
    for name in ("done", "failed"):
        assert jobs[name].spec.suspend is True
        assert jobs[name].spec.template.spec.containers[0].command == before.jobs[name].spec.template.spec.containers[0].command
    assert not [pod for pod in pods.values() if _is_of(pod, ("done", "failed"))]
    for name in ("ended", "broken"):
        assert pods[name].status.phase == "Pending"
        assert [gate.name for gate in pods[name].spec.scheduling_gates] == ["gsv-ops/put-back"]
    assert jobs["parallel"].status.active == 2, "all along it went on"
    assert jobs["parallel"].metadata.uid == before.jobs["parallel"].metadata.uid


def test_what_was_scaled_to_0_rolls_back_afterwards_and_also_to_what_undo_put_back(
    space: Workloads, before: Before, undone: dict[str, Run]
) -> None:
    """Revision 2 was kept, revision 1 deleted and put back: pods of these very ReplicaSets run."""
    space.scale("asleep", 1)
    space.complete("asleep", 3)
    for revision, becomes in ((2, 4), (1, 5)):
        name = space.replica_sets("asleep")[revision].metadata.name
        assert name in before.sets
        space.roll("asleep", space.template_of("asleep", revision))
        space.complete("asleep", becomes)
        (pod,) = space.pods("app=asleep").values()
        assert pod.metadata.owner_references[0].name == name
        assert pod.status.phase == "Running"


def _planned(run: Run) -> set[str]:
    return {row["target"].rpartition("/")[2] for row in run.outputs["plan"]["what would be done"]}


def _kept(run: Run) -> dict[str, str]:
    return {row["target"].rpartition("/")[2]: row["why"] for row in run.outputs["plan"]["what is left alone"]}


def _why(run: Run) -> str:
    return "\n".join(row["why"] for row in run.outputs["plan"]["what would be done"])


def _named(sets: Mapping[str, Any], deployment: str) -> dict[int, str]:
    """The names of a Deployment's ReplicaSets by revision."""
    key = "deployment.kubernetes.io/revision"
    return {int(one.metadata.annotations[key]): name for name, one in sets.items() if one.metadata.labels["app"] == deployment}


def _is_of(pod: Any, jobs: tuple[str, ...]) -> bool:
    return any(owner.kind == "Job" and owner.name in jobs for owner in pod.metadata.owner_references or [])
