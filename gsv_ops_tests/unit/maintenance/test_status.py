"""The page: what is wrong stands first with its reason, what is not known is never good, and nothing is taken for zero."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from gsv_ops.kube import errors, resources
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance.seen import Absent, Unknown
from gsv_ops.maintenance.status import capacity, observe, pods, report
from gsv_ops.maintenance.status.observe import Seen
from gsv_ops.operations.operation import Markdown
from gsv_ops.operations.reporting import LastRun
from gsv_ops.platform.spec import StatusReport
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.maintenance.report_bodies import NOW, body, crashing, node, pod, stamp

SETTLE = timedelta(minutes=5)
CLUSTER = body(
    "postgresql.cnpg.io/v1",
    "Cluster",
    "cmp-postgres",
    spec={"instances": 1},
    status={
        "phase": "Cluster in healthy state",
        "readyInstances": 1,
        "currentPrimary": "p-1",
        "targetPrimary": "p-1",
        "conditions": [{"type": "Ready", "status": "True"}],
    },
)
USAGE = {"kind": "NodeMetrics", "metadata": {"name": "n1"}, "usage": {"cpu": "1", "memory": "1Gi"}}


def seen(**parts: Any) -> Seen:
    whole: dict[str, Any] = {
        "at": NOW,
        "nodes": (node(),),
        "pods": (pod("web"),),
        "services": (),
        "ingresses": (),
        "applications": Absent("argoproj.io is not installed"),
        "databases": (CLUSTER,),
        "node_usage": (USAGE,),
        "pod_usage": (),
    } | parts
    every = whole["pods"] if isinstance(whole["pods"], tuple) else ()
    return Seen(**whole, troubles=pods.troubles(every, NOW, SETTLE), restarts=pods.restarts(every))


def judged(state: Seen) -> dict[str, bool]:
    return {check.name: check.passed for check in report.found(state, ()).checks}


def shown(state: Seen, *runs: LastRun) -> str:
    page = report.found(state, runs).facts["page"]
    assert isinstance(page, Markdown)
    return page.text


def test_all_is_well() -> None:
    assert set(judged(seen()).values()) == {True}
    facts = report.found(seen(), ()).facts
    assert facts["processor asked for in percent"] == 25.0
    assert facts["memory used in percent"] == 25.0
    assert (facts["pods not well"], facts["restarts"], facts["parts not known"]) == (0, 0, 0)


@pytest.mark.parametrize("part", ["nodes", "pods", "services", "ingresses", "applications", "databases", "node_usage", "pod_usage"])
def test_what_could_not_be_read_is_told_with_the_reason_and_fails(part: str) -> None:
    state = seen(**{part: Unknown("user may not list them")})
    assert not judged(state)[report.KNOWN]
    assert "unknown" in shown(state).lower()
    assert "user may not list them" in shown(state)
    own = {"nodes": report.NODES, "pods": report.PODS, "applications": report.APPLICATIONS, "databases": report.DATABASES}
    if part in own:
        assert not judged(state)[own[part]]


def test_usage_that_nobody_measures_is_said_and_is_not_zero() -> None:
    state = seen(node_usage=Absent("metrics.k8s.io is not installed"), pod_usage=Absent("metrics.k8s.io is not installed"))
    assert "Used is not known: metrics.k8s.io is not installed" in shown(state)
    assert judged(state)[report.KNOWN]
    assert "memory used in percent" not in report.found(state, ()).facts


def test_a_pod_that_crashes_shows_why() -> None:
    state = seen(pods=(pod("web"), crashing()))
    (trouble,) = state.troubles
    assert (trouble.container, trouble.crashed, trouble.restarts, trouble.passing) == ("app", True, 7, False)
    assert trouble.reason == "app: CrashLoopBackOff (back-off 5m0s restarting failed container); before: Error, exit code 3"
    with_log = replace(state, logs={("cmp", "loop"): ("no such table",)})
    assert not judged(with_log)[report.PODS]
    text = shown(with_log)
    for words in ("cmp/loop", "CrashLoopBackOff", "    no such table", "| 7 | Error, exit code 3 | 2026-11-27 11:58 UTC |"):
        assert words in text


@pytest.mark.parametrize(
    ("status", "since", "passing"),
    [
        ({"phase": "Pending"}, stamp(11, 58), True),
        ({"phase": "Pending"}, stamp(11, 50), False),
        ({"phase": "Failed", "reason": "Evicted", "message": "low on disk"}, stamp(11, 59), False),
        ({"phase": "Running"}, stamp(3), False),  # runs and is not ready: hidden by `grep -v Running`
    ],
)
def test_a_pod_has_its_time_and_no_more(status: Object, since: str, passing: bool) -> None:
    (trouble,) = pods.troubles([pod("p", ready=False, since=since, status=status)], NOW, SETTLE)
    assert trouble.passing == passing
    assert judged(seen(pods=(pod("p", ready=False, since=since, status=status),)))[report.PODS] == passing


def test_a_finished_pod_is_well_and_one_that_does_not_end_is_not() -> None:
    finished = pod("done", ready=False, status={"phase": "Succeeded"})
    leaving = pod("leaving", metadata={"deletionTimestamp": stamp(11)})
    (trouble,) = pods.troubles([finished, leaving], NOW, SETTLE)
    assert (trouble.pod, trouble.phase, trouble.passing) == ("leaving", "Terminating", False)


@pytest.mark.parametrize(
    "bad",
    [node(ready="False"), node(ready="Unknown"), node(pressure="True"), node(pressure="Unknown")],
    ids=["not ready", "silent", "pressure", "says nothing"],
)
def test_a_node_that_is_not_well(bad: Object) -> None:
    assert not judged(seen(nodes=(node("n0"), bad)))[report.NODES]


@pytest.mark.parametrize(
    ("phase", "severity"),
    [("Setting up primary", "WARN"), ("Cluster is unrecoverable and needs manual intervention", "ERROR"), ("New", "ERROR")],
)
def test_a_database_on_its_way_is_a_warning_and_one_that_is_ill_or_unknown_an_error(phase: str, severity: str) -> None:
    other = {**CLUSTER, "metadata": {**CLUSTER["metadata"], "name": "scratch"}, "status": {**CLUSTER["status"], "phase": phase}}
    (check,) = (one for one in report.found(seen(databases=(CLUSTER, other)), ()).checks if one.name == report.DATABASES)
    assert (check.passed, check.severity) == (False, severity)
    assert "cmp/scratch" in check.description
    assert "cmp/cmp-postgres:" not in check.description


def test_no_node_at_all_is_not_good() -> None:
    assert not judged(seen(nodes=()))[report.NODES]


def test_a_simulated_node_is_never_called_healthy() -> None:
    fake = node("n2", annotations={"kwok.x-k8s.io/node": "fake"})
    text = shown(seen(nodes=(node(), fake)))
    assert "| n2 | simulated |" in text
    assert "1 nodes are ready; simulated and not judged: n2" in [c.description for c in report.found(seen(nodes=(node(), fake)), ()).checks]


def test_what_ended_asks_for_nothing() -> None:
    every = [pod("a", cpu="250m"), pod("b", cpu="1", status={"phase": "Succeeded"}), pod("c", cpu="100m", spec={"nodeName": "other"})]
    (one,) = capacity.capacities([node()], every, None)
    assert (one.requested["cpu"], one.pods, one.used) == (Decimal("0.25"), 1, None)


def test_balancers_ingresses_applications_and_runs() -> None:
    pending = body("v1", "Service", "front", spec={"type": "LoadBalancer", "ports": [{"port": 443}]}, status={})
    has = body("v1", "Service", "back", spec={"type": "LoadBalancer"}, status={"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}})
    ingress = body("networking.k8s.io/v1", "Ingress", "agents", spec={"ingressClassName": "traefik", "rules": [{"host": "a.example"}]})
    health = {"sync": {"status": "OutOfSync", "revision": "abcdef0123456789"}, "health": {"status": "Healthy"}}
    application = body("argoproj.io/v1alpha1", "Application", "portal", "argocd", status=health)
    state = seen(services=(pending, has), ingresses=(ingress,), applications=(application,))
    text = shown(state, LastRun("prove_backup", "FAILURE", NOW, "/runs/abc"))
    for row in (
        "| cmp/front | its load balancer has no address yet | 443 |",
        "| cmp/back | its address is 192.0.2.7 |  |",
        "| cmp/agents | traefik | a.example | pending |",
        "| argocd/portal | OutOfSync | Healthy | abcdef012345 |",
        "| prove_backup | [failure](/runs/abc) | 2026-11-27 12:00 UTC |",
    ):
        assert row in text
    assert not judged(state)[report.APPLICATIONS]


def test_a_pods_own_words_are_no_markup() -> None:
    loop = crashing()
    loop["status"]["containerStatuses"][0]["state"]["waiting"]["message"] = "a | b\n<script>"
    assert "a \\| b &lt;script>" in shown(seen(pods=(loop,)))


def test_the_log_of_the_attempt_that_crashed_is_read_without_its_secrets() -> None:
    kube = FakeKube(custom=[resources.POSTGRES_CLUSTER])
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.put(crashing())
    asked = []

    def logs(namespace: str, name: str, container: str, previous: bool) -> str:
        asked.append((namespace, name, container, previous))
        return "starting\nlogin with password=hunter2 failed\n"

    kube.script(logs=logs)
    found = observe.look(kube, StatusReport(log_lines=1), NOW)
    assert asked == [("cmp", "loop", "app", True)]
    assert found.logs == {("cmp", "loop"): ("login with password=... failed",)}


def test_a_log_that_may_not_be_read_is_unknown() -> None:
    kube = FakeKube(custom=[resources.POSTGRES_CLUSTER])
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.put(crashing())
    kube.forbid("get", resources.POD, subresource="log")
    kube.forbid("list", resources.INGRESS)
    found = observe.look(kube, StatusReport(), NOW)
    assert isinstance(found.ingresses, Unknown)
    assert isinstance(found.applications, Absent)
    (check,) = (one for one in report.found(found, ()).checks if one.name == report.KNOWN)
    assert not check.passed
    assert "ingresses: list ingresses" in check.description
    assert "log of cmp/loop" in check.description


def test_an_api_that_is_away_leaves_nothing_good() -> None:
    class Away(FakeKube):
        def list(self, *_: Any, **__: Any) -> list[Object]:
            raise errors.Unavailable("no answer from the API server")

    assert not any(judged(observe.look(Away(), StatusReport(), NOW)).values())
