"""No state of a cluster makes prune_replicasets take what is live, has pods, is another's, or is needed for a rollback."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gsv_ops.cleanup.replica_sets import PRUNE_REPLICASETS, PruneReplicaSets, Seen, plan
from gsv_ops.kube import objects
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.plan import Plan
from gsv_ops.platform import spec
from gsv_ops_tests.unit.cleanup.bodies import NOW, OLD, deployment, frame, put, reference, replica_set, stamp

SPEC = spec.load(None)
REVISION = "deployment.kubernetes.io~revision"


def planned(replica_sets: list[Object], deployments: list[Object], with_pods: set[str] | None = None, **params: Any) -> Plan:
    seen = Seen(tuple(replica_sets), tuple(deployments), frozenset(with_pods or ()))
    return plan(SPEC, seen, PruneReplicaSets(**params), frame("prune_replicasets"), NOW)


def going(made: Plan) -> list[str]:
    return [action.target.name for action in made.actions]


def why(made: Plan, name: str) -> str:
    return next((kept.reason for kept in made.kept if kept.target.name == name), "it goes")


def family(upto: int, **first: Any) -> list[Object]:
    """Revisions 1 to `upto`; the last one runs."""
    return [replica_set(n, pods=2 if n == upto else 0, **(first if n == 1 else {})) for n in range(1, upto + 1)]


def test_the_oldest_go_and_the_newest_stay_for_a_rollback() -> None:
    made = planned(family(5), [deployment(at=5, history=2)])
    assert going(made) == ["web-1", "web-2"]
    assert why(made, "web-3") == "among the 2 newest old ones, which a rollback needs (revision 3)"
    assert why(made, "web-5") == "it is the current one, revision 5"
    assert made.refused == ()


@pytest.mark.parametrize(("keep", "gone"), [(-1, 3), (0, 5), (1, 4), (4, 1), (5, 0), (9, 0)])
def test_how_many_stay_is_chosen(keep: int, gone: int) -> None:
    made = planned(family(6), [deployment(at=6, history=2)], keep=keep)
    assert len(made.actions) == gone


def test_the_live_one_of_a_deployment_at_0_stays() -> None:
    sets = [replica_set(n) for n in range(1, 6)]
    made = planned(sets, [deployment(at=5, replicas=0, history=0)])
    assert going(made) == ["web-1", "web-2", "web-3", "web-4"]
    assert why(made, "web-5") == "it is the current one, revision 5"


def test_newest_is_by_revision_not_by_age() -> None:
    sets = [replica_set(1, created=NOW - timedelta(days=2)), replica_set(2, created=OLD), replica_set(3, pods=2)]
    assert going(planned(sets, [deployment(at=3, history=1)])) == ["web-1"]


def test_a_revision_counts_as_a_number() -> None:
    assert going(planned([replica_set(9), replica_set(10), replica_set(11, pods=2)], [deployment(at=11, history=1)])) == ["web-9"]


OTHER = reference("Rollout", "web", "uid-web", "argoproj.io/v1alpha1")

STAYS: list[tuple[str, str, Any, str]] = [
    ("being deleted", "metadata/deletionTimestamp", stamp(NOW), "it is being deleted already"),
    ("marked", "metadata/annotations/gsv-ops~keep", "", "it has the annotation gsv-ops/keep"),
    ("by hand", "metadata/ownerReferences", ..., "it has no controller"),
    (
        "not its controller",
        "metadata/ownerReferences",
        [{**reference("Deployment", "web", "uid-web"), "controller": False}],
        "it has no contr",
    ),
    ("another controller's", "metadata/ownerReferences", [OTHER], "it belongs to Rollout web"),
    ("another group's", "metadata/ownerReferences", [reference("Deployment", "web", "uid-web", "x.y/v1")], "it belongs to Deployment web"),
    ("of another uid", "metadata/ownerReferences", [reference("Deployment", "web", "uid-of-old")], "is not there, or is another"),
    ("without revision", f"metadata/annotations/{REVISION}", ..., "cannot be read"),
    ("with an odd revision", f"metadata/annotations/{REVISION}", "-1", "cannot be read"),
    ("of the current template", "spec/template/spec", deployment(at=5)["spec"]["template"]["spec"], "it is the current one"),
    ("of the current hash", "metadata/labels/pod-template-hash", "h5", "it may be the current one"),
    ("without hash", "metadata/labels/pod-template-hash", ..., "it may be the current one"),
    ("of the current revision", f"metadata/annotations/{REVISION}", "5", "it is the current one"),
    ("scaled up", "spec/replicas", 1, "it is to have 1 pods"),
    ("of unknown size", "spec/replicas", ..., "it is to have an unknown number of pods"),
    ("with pods", "status/replicas", 1, "it has 1 replicas"),
    ("with ready pods", "status/readyReplicas", 1, "it has 1 readyReplicas"),
    ("with pods that go", "status/terminatingReplicas", 1, "it has 1 terminatingReplicas"),
    ("without status", "status", ..., "it does not say how many pods it has"),
    ("of a stale status", "metadata/generation", 2, "older generation"),
    ("of no observed generation", "status/observedGeneration", ..., "older generation"),
    ("young", "metadata/creationTimestamp", stamp(NOW - timedelta(hours=23)), "younger than 24 hours"),
    ("of the future", "metadata/creationTimestamp", stamp(NOW + timedelta(days=9)), "younger than 24 hours"),
]


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in STAYS], ids=[row[0] for row in STAYS])
def test_what_stays_and_why(path: str, value: Any, said: str) -> None:
    sets = family(5)
    assert "web-1" in going(planned(sets, [deployment(at=5)])), "it would go otherwise"
    made = planned([put(sets[0], path, value), *sets[1:]], [deployment(at=5)])
    assert said in why(made, "web-1")


RESTLESS: list[tuple[str, str, Any, str]] = [
    ("paused", "spec/paused", True, "is paused"),
    ("going", "metadata/deletionTimestamp", stamp(NOW), "is being deleted"),
    ("unseen", "metadata/generation", 2, "its controller has seen generation 1 of 2"),
    ("never seen", "status/observedGeneration", ..., "its controller has seen generation none of 1"),
    ("rolling out", "status/updatedReplicas", 1, "1 of 2 replicas are updated"),
    ("with old pods", "status/replicas", 3, "1 old replicas are still to go"),
    ("not available", "status/availableReplicas", 1, "1 of 2 replicas are available"),
    ("stuck", "status/conditions", [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}], "is stuck"),
    ("without revision", f"metadata/annotations/{REVISION}", ..., "cannot be read"),
]


@pytest.mark.parametrize(("path", "value", "said"), [row[1:] for row in RESTLESS], ids=[row[0] for row in RESTLESS])
def test_a_deployment_that_is_not_at_rest_keeps_its_whole_history(path: str, value: Any, said: str) -> None:
    made = planned(family(5), [put(deployment(at=5), path, value)])
    assert going(made) == []
    assert said in why(made, "web-1")


def test_of_two_at_one_revision_neither_takes_the_others_place() -> None:
    sets = [replica_set(n) for n in range(1, 6)]
    sets[0] = put(sets[0], f"metadata/annotations/{REVISION}", "4")
    assert going(planned(sets, [deployment(at=5, replicas=0, history=1)])) == ["web-2", "web-3"]


def test_of_a_mixed_up_history_both_that_may_be_live_stay() -> None:
    sets = [replica_set(n) for n in range(1, 6)]
    sets[3] = put(sets[3], f"metadata/annotations/{REVISION}", "5")
    sets[4] = put(sets[4], f"metadata/annotations/{REVISION}", "2")
    made = planned(sets, [deployment(at=5, replicas=0, history=0)])
    assert why(made, "web-4") == "it is the current one, revision 5"
    assert why(made, "web-5") == "it is the current one, revision 2"


def test_where_the_live_one_cannot_be_told_all_stay() -> None:
    made = planned(family(5)[:4], [deployment(at=5)])
    assert going(made) == []
    assert why(made, "web-1") == "which ReplicaSet its Deployment runs cannot be told"


def test_pods_that_ended_stay_with_what_made_them() -> None:
    made = planned(family(5), [deployment(at=5)], {"uid-web-1"})
    assert why(made, "web-1") == "pods that ended still belong to it, and would go with it"


def test_a_marked_one_takes_its_place_in_the_history() -> None:
    sets = family(5)
    sets[3] = put(sets[3], "metadata/annotations/gsv-ops~keep", "true")
    assert going(planned(sets, [deployment(at=5, history=1)])) == ["web-1", "web-2", "web-3"]


def test_the_guard_is_what_the_decision_relied_on() -> None:
    (action,) = planned(family(2), [deployment(at=2, history=0)]).actions
    assert action.guard == {
        "spec.replicas": 0,
        "status.replicas": 0,
        "metadata.annotations.deployment.kubernetes.io/revision": "1",
        "metadata.annotations.gsv-ops/keep": None,
    }
    assert action.target.uid == "uid-web-1"


def test_a_plan_is_the_same_an_hour_later() -> None:
    seen = Seen(tuple(family(5)), (deployment(at=5),), frozenset())
    first, later = (plan(SPEC, seen, PruneReplicaSets(), frame("prune_replicasets"), NOW + timedelta(hours=hours)) for hours in (0, 1))
    assert first.id == later.id


def test_a_larger_limit_than_asked_for_is_named_with_what_to_change() -> None:
    plain, tracked, installed, small = (deployment(name, at=1, history=h) for name, h in (("a", 10), ("b", 10), ("c", 10), ("d", 2)))
    tracked["metadata"]["annotations"]["argocd.argoproj.io/tracking-id"] = "portal:apps/Deployment:cmp/b"
    installed["metadata"]["labels"] = {"app.kubernetes.io/instance": "redis"}
    facts = planned([], [plain, tracked, installed, small], keep=2).facts
    assert facts == {
        "cmp/a keeps 10 itself": """kubectl patch deployment a -n cmp --type merge -p '{"spec": {"revisionHistoryLimit": 2}}'""",
        "cmp/b keeps 10 itself": "set spec.revisionHistoryLimit: 2 in Git, in application portal of Argo CD, which undoes a patch",
        "cmp/c keeps 10 itself": """kubectl patch deployment c -n cmp --type merge -p '{"spec": {"revisionHistoryLimit": 2}}' """
        "(but in Git if Argo CD, or in the values if Helm, installs redis)",
    }
    assert planned([], [plain]).facts == {}, "its own limit is what is kept"


def test_a_plan_must_be_read_before() -> None:
    assert PRUNE_REPLICASETS.plan_required
    assert PRUNE_REPLICASETS.keeps_undo
    assert not PRUNE_REPLICASETS.plan_waived(SPEC)


HARMFUL = st.sampled_from([row[1:3] for row in STAYS])
REVISIONS = st.integers(1, 8)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[list[Object], list[Object], set[str]]:
    """A few Deployments, most at rest, each with a history of which a few were changed so that they must stay, or look like another."""
    sets: list[Object] = []
    deployments: list[Object] = []
    for number in range(draw(st.integers(1, 2))):
        name, newest = f"d{number}", draw(REVISIONS)
        live, size = draw(st.integers(1, newest)), draw(st.sampled_from([0, 0, 2]))
        parent = deployment(name, at=live, replicas=size, history=draw(st.integers(0, 3)))
        if draw(st.integers(0, 5)) == 0:
            parent = put(parent, *draw(st.sampled_from([row[1:3] for row in RESTLESS])))
        deployments.append(parent)
        for n in range(1, newest + 1):
            one = replica_set(n, name, pods=size if n == live else 0)
            match draw(st.sampled_from(["as it is", "as it is", "as it is", "harmed", "revision", "template", "scaled", "taken over"])):
                case "harmed":
                    one = put(one, *draw(HARMFUL))
                case "revision":
                    one = put(one, f"metadata/annotations/{REVISION}", str(draw(REVISIONS)))
                case "template":
                    one = put(one, "spec/template/spec", parent["spec"]["template"]["spec"])
                case "scaled":
                    one = put(one, draw(st.sampled_from(["spec/replicas", "status/replicas", "status/readyReplicas"])), 1)
                case "taken over":
                    kind = draw(st.sampled_from(["Rollout", "Deployment"]))
                    one = put(
                        one, "metadata/ownerReferences", [reference(kind, name, f"uid-{name}", draw(st.sampled_from(["apps/v1", "x/v1"])))]
                    )
            sets.append(one)
    uids = [objects.uid(body) for body in sets]
    return sets, deployments, set(draw(st.lists(st.sampled_from(uids), max_size=2)))


@settings(max_examples=400, deadline=None)
@given(clusters(), st.integers(-1, 3), st.integers(0, 48))
def test_no_cluster_makes_it_take_what_it_must_not(cluster: tuple[list[Object], list[Object], set[str]], keep: int, hours: int) -> None:
    sets, deployments, with_pods = cluster
    made = planned(sets, deployments, with_pods, keep=keep, older_than_hours=hours)
    by_uid = {objects.uid(body): body for body in sets}
    owners = {objects.uid(body): body for body in deployments}

    told = sorted([*(a.target.uid for a in made.actions), *(k.target.uid for k in made.kept)])
    assert told == sorted(by_uid), "every one is an action or kept, once"
    assert all(kept.reason for kept in made.kept)
    gone: dict[str, int] = {}
    for action in made.actions:
        body = by_uid[action.target.uid]
        (owner,) = [o for o in body["metadata"]["ownerReferences"] if o["controller"]]
        assert (owner["kind"], owner["apiVersion"]) == ("Deployment", "apps/v1"), "another controller's"
        parent = owners[owner["uid"]]
        revisions = [body["metadata"]["annotations"][key] for body in (body, parent) for key in ["deployment.kubernetes.io/revision"]]
        assert revisions[0] != revisions[1], "the live one, by revision"
        assert body["spec"]["template"]["spec"] != parent["spec"]["template"]["spec"], "the live one, by template"
        assert body["spec"]["replicas"] == 0, "one with pods"
        assert not any(value for key, value in body["status"].items() if key.endswith("eplicas")), "one with pods"
        assert action.target.uid not in with_pods, "one with pods that ended"
        assert not parent["spec"].get("paused")
        assert "gsv-ops/keep" not in body["metadata"]["annotations"]
        assert NOW - objects.created(body) >= timedelta(hours=hours)
        gone[owner["uid"]] = gone.get(owner["uid"], 0) + 1
    for uid, count in gone.items():
        kept = owners[uid]["spec"]["revisionHistoryLimit"] if keep < 0 else keep
        family_size = sum(1 for body in sets for o in body["metadata"].get("ownerReferences", []) if o["controller"] and o["uid"] == uid)
        assert family_size - count >= kept + 1, "the live one and the newest stay"
