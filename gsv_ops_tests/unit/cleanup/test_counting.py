"""What is counted from metadata alone is never less than what the cleanups' own plans take."""

from datetime import timedelta

from gsv_ops.cleanup import counting
from gsv_ops.kube.protocol import Object
from gsv_ops_tests.unit.cleanup.bodies import NOW, OLD, metadata, put, reference, replica_set, stamp


def of_metadata(body: Object) -> Object:
    return {"metadata": body["metadata"]}


def test_beyond_the_live_one_and_those_that_stay() -> None:
    sets = [of_metadata(replica_set(n, of)) for of, upto in (("web", 6), ("api", 2)) for n in range(1, upto + 1)]
    assert counting.replica_sets(sets, 2, NOW) == 3
    assert counting.replica_sets(sets, 0, NOW) == 6
    assert counting.replica_sets(sets, -1, NOW) == 0, "each keeps ten itself"


def test_neither_young_nor_marked_nor_anothers_replica_sets() -> None:
    sets = [of_metadata(replica_set(n)) for n in range(1, 6)]
    assert counting.replica_sets(sets, 0, NOW) == 4
    sets[0] = put(sets[0], "metadata/annotations/gsv-ops~keep", "")
    sets[1] = put(sets[1], "metadata/creationTimestamp", stamp(NOW - timedelta(hours=23)))
    sets[2] = put(sets[2], "metadata/ownerReferences", [reference("Rollout", "web", "uid-web", "argoproj.io/v1alpha1")])
    assert counting.replica_sets(sets, 0, NOW) == 1


def job(name: str, owner: Object | None = None, **more: object) -> Object:
    return {"metadata": metadata(name, owner=owner, **more)}


def test_jobs_of_nobody_and_what_a_cron_job_has_beyond_its_history() -> None:
    nightly = reference("CronJob", "nightly", "uid-nightly", "batch/v1")
    jobs = [
        job("a"),
        job("b", created=NOW),
        job("c", annotations={"helm.sh/hook": "test"}),
        job("d", reference("Workflow", "w", "u", "x/v1")),
    ]
    assert counting.finished_jobs(jobs, NOW) == 1
    assert counting.finished_jobs([job(f"n-{n}", nightly) for n in range(6)], NOW) == 2


def test_pods_that_ended_and_are_of_no_job() -> None:
    pods = [
        job("leftover"),
        job("evicted", reference("ReplicaSet", "web-1", "uid-web-1")),
        job("of-a-job", reference("Job", "j", "uid-j", "batch/v1")),
        job("worker", labels={"dagster/run-id": "r"}),
        job("young", created=NOW - timedelta(hours=1)),
        job("going", deletionTimestamp=stamp(OLD)),
    ]
    assert counting.leftover_pods(pods, NOW) == 2
