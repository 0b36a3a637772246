"""Real workloads changed through the desk: what their callers notice of it, and what becomes of a change that does not work."""

from __future__ import annotations

import logging

import pytest

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.fault_table import workloads
from gsv_ops_tests.cluster.fault_table.row import Row, expects
from gsv_ops_tests.cluster.outside import Outside, until
from gsv_ops_tests.cluster.serving import NAMESPACE, calling, complete, container, deployment, pods, served

pytestmark = pytest.mark.cluster
LOG = logging.getLogger(__name__)
ROLLOUT_SECONDS = 120
LEAST_CALLS = 100


def test_a_restart_costs_no_call_and_of_two_at_once_one_is_refused(a_desk: ADesk, outside: Outside) -> None:
    name = "restarted"
    with served(outside, deployment(name, container())) as address:
        before = pods(outside, name)
        plan = a_desk.run("rolling_restart", {"namespace": NAMESPACE, "name": name}).outputs["plan"]
        assert (plan["actions"], plan["refused"]) == (1, 0), plan
        with calling(address) as calls:
            config = {"namespace": NAMESPACE, "name": name, "mode": "apply", "plan_id": plan["plan"]}
            both = [a_desk.launch("rolling_restart", config) for _ in range(2)]
            for run in both:
                a_desk.follow(run, ROLLOUT_SECONDS)
            until(lambda: len(pods(outside, name)) == 2, 60, "the old pods to be gone")
        (done,) = [run for run in both if run.status == "SUCCESS"]
        (refused,) = [run for run in both if run.status == "FAILURE"]
        assert "Changed: nothing." in refused.failure, refused.failure
        assert complete(outside, name)
        after = pods(outside, name)
        assert len(after) == 2
        assert not after & before
        assert calls.answers > LEAST_CALLS, calls
        assert not calls.errors, f"{calls.errors} beside {calls.answers} answers"
        assert done.outputs["verify"]["pods"] == 2
        assert done.outputs["verify"]["fewest available pods seen"] == 2
        LOG.info("calls during the restart: %s", f"{calls.answers} answered, {calls.errors.total()} not")


def test_the_same_client_notices_a_restart_that_is_not_careful(a_desk: ADesk, outside: Outside) -> None:
    """Which the desk refuses, unless the outage is accepted."""
    name = "interrupted"
    body = deployment(name, container(careful=False, start_seconds=8), maxUnavailable="100%", maxSurge=0)
    with served(outside, body) as address:
        # without a readiness probe it is ready before it serves
        until(lambda: complete(outside, name), 30, "it to be complete")
        config = {"namespace": NAMESPACE, "name": name, "mode": "apply"}
        refused = a_desk.run("rolling_restart", config)
        assert "no pod would be left at some moment (at most 2 of 2 pods away, 0 more beside them): an outage" in refused.failure
        with calling(address) as calls:
            run = a_desk.run("rolling_restart", {**config, "accept_outage": True}, ROLLOUT_SECONDS)
            assert run.status == "SUCCESS", run.failure
            # its pods are ready at once and serve later; a slow node takes its time to end the old ones
            until(lambda: calls.errors.total(), 20, "the outage to be noticed")
        LOG.info("calls during the outage: %s", f"{calls.answers} answered, {dict(calls.errors)}")


@expects(workloads.STARVED)
def test_resources_with_which_nothing_runs_end_with_the_reason_and_are_rolled_back(row: Row, a_desk: ADesk, outside: Outside) -> None:
    name = "starved"
    with served(outside, deployment(name, container())) as address:
        before = pods(outside, name)
        config = {"namespace": NAMESPACE, "name": name, "mode": "apply", "cpu_request": "60m"}
        with calling(address) as calls, row.timed():
            run = a_desk.run("set_resources", {**config, "roll_back": True, "seconds": 15}, ROLLOUT_SECONDS)
        row.judge(run, lambda: ())
        assert f"pod {name}-" in run.failure
        assert f"Changed: patch Deployment {NAMESPACE}/{name}, roll back Deployment {NAMESPACE}/{name}." in run.failure
        assert pods(outside, name) >= before, "the pods that served were never taken away"
        body = outside.apps.read_namespaced_deployment(name, NAMESPACE).spec.template.spec.containers[0]
        assert (body.resources.requests, body.resources.limits) == ({"cpu": "10m", "memory": "8Mi"}, None)
        assert not calls.errors, calls

        # what is too much for every node is refused before anything is changed; and the way back of what works is told
        run = a_desk.run("set_resources", {**config, "memory_request": "900Gi"})
        assert "900Gi needed" in run.failure
        assert "Changed: nothing." in run.failure
        run = a_desk.run("scale_workload", {"namespace": NAMESPACE, "name": name, "mode": "apply", "replicas": 3}, ROLLOUT_SECONDS)
        assert run.status == "SUCCESS", run.failure
        assert run.outputs["verify"]["undo"].endswith(f"name: {name}, kind: Deployment, replicas: 2")
        assert complete(outside, name)
        assert outside.apps.read_namespaced_deployment(name, NAMESPACE).spec.replicas == 3


@expects(workloads.STATEFUL)
def test_a_stateful_set_is_rolled_back_though_its_broken_pod_never_gets_ready(row: Row, a_desk: ADesk, outside: Outside) -> None:
    """Its controller alone would wait for the broken pod for ever."""
    name = "stateful"
    body = deployment(name, container(), replicas=2)
    del body["spec"]["strategy"]
    body |= {"kind": "StatefulSet"}
    body["spec"]["serviceName"] = name

    def well() -> bool:
        status = outside.apps.read_namespaced_stateful_set(name, NAMESPACE).status
        return bool(status.ready_replicas == 2 and status.current_revision == status.update_revision)

    outside.apps.create_namespaced_stateful_set(NAMESPACE, body)
    try:
        until(well, 60, "the StatefulSet to be ready")
        config = {"namespace": NAMESPACE, "name": name, "kind": "StatefulSet", "mode": "apply", "seconds": 20, "roll_back": True}
        with row.timed():
            run = a_desk.run("set_resources", {**config, "cpu_request": "60m"}, ROLLOUT_SECONDS)
        row.judge(run, lambda: ())
        until(well, 5, "it to be as before")
    finally:
        outside.apps.delete_namespaced_stateful_set(name, NAMESPACE)
        until(lambda: not pods(outside, name), 60, "its pods to be gone")
