"""What nothing uses is found with its reason; what something uses, may soon use, or nobody can tell of, is not."""

from datetime import timedelta

from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import ENDPOINT_SLICE
from gsv_ops.maintenance import leftovers
from gsv_ops.maintenance.leftovers import KNOWN, NOTHING, Snapshot
from gsv_ops.maintenance.seen import Unknown
from gsv_ops_tests.fake_kube import FakeKube
from gsv_ops_tests.unit.maintenance.report_bodies import NOW, body, pod, stamp

SETTLE = timedelta(hours=1)


def claim(name: str, phase: str, **parts: object) -> Object:
    return body("v1", "PersistentVolumeClaim", name, status={"phase": phase}, **parts)


def volume(name: str, phase: str, since: str = stamp(2)) -> Object:
    spec = {"claimRef": {"namespace": "cmp", "name": "data"}, "persistentVolumeReclaimPolicy": "Retain", "capacity": {"storage": "8Gi"}}
    return body("v1", "PersistentVolume", name, None, spec=spec, status={"phase": phase, "lastPhaseTransitionTime": since})


def service(name: str, **spec: object) -> Object:
    return body("v1", "Service", name, spec=spec)


def part(of: str, *addresses: str, ready: bool = True) -> Object:
    endpoints = [{"addresses": [address], "conditions": {"ready": ready}} for address in addresses]
    return body(
        "discovery.k8s.io/v1", "EndpointSlice", f"{of}-x", metadata={"labels": {"kubernetes.io/service-name": of}}, endpoints=endpoints
    )


def replica_set(name: str, *owner: Object) -> Object:
    return body("apps/v1", "ReplicaSet", name, metadata={"ownerReferences": list(owner)})


def owner(kind: str, name: str) -> Object:
    return {"kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}


EVERYTHING = Snapshot(
    claims=(claim("bound", "Bound"), claim("lost", "Lost"), claim("unused", "Pending"), claim("waited-for", "Pending")),
    volumes=(volume("in-use", "Bound"), volume("spare", "Available"), volume("kept", "Released"), volume("broken", "Failed")),
    services=(
        service("good", selector={"app": "good"}),
        service("starting", selector={"app": "starting"}),
        service("nowhere", selector={"app": "gone"}),
        service("bare"),
        service("elsewhere", type="ExternalName"),
    ),
    slices=(part("good", "10.0.0.1"), part("starting", "10.0.0.2", ready=False), part("nowhere")),
    replica_sets=(
        replica_set("web-1", owner("Deployment", "web")),
        replica_set("old-1", owner("Deployment", "old")),
        replica_set("rollout-1", owner("Rollout", "canary")),
        replica_set("stray"),
    ),
    deployments=(body("apps/v1", "Deployment", "web"),),
    pods=(pod("p", spec={"volumes": [{"persistentVolumeClaim": {"claimName": "waited-for"}}]}),),
)


def found(snapshot: Snapshot) -> dict[str, str]:
    return {one.name: one.reason for one, made in leftovers.leftovers(snapshot) if NOW - made >= SETTLE}


def test_each_with_its_reason_and_nothing_else() -> None:
    assert found(EVERYTHING) == {
        "lost": "its volume is gone",
        "unused": "it is Pending, and no pod uses it",
        "waited-for": "it is Pending: no volume was found or made for it, and a pod waits for that",
        "kept": "its claim cmp/data is gone; its data (8Gi) stays, for its reclaim policy is Retain",
        "broken": "its reclaiming failed: no reason given",
        "nowhere": "no pod has its labels app=gone",
        "bare": "it has no selector, and nobody gave it an endpoint",
        "old-1": "its Deployment old is gone",
        "stray": "nothing owns it; was it made by hand?",
    }


def test_every_one_has_a_command_that_only_looks() -> None:
    looks = {one.name: one.look for one, _ in leftovers.leftovers(EVERYTHING)}
    assert looks["nowhere"] == "kubectl describe service nowhere -n cmp"
    assert looks["kept"] == "kubectl describe persistentvolume kept"
    assert all(look.startswith("kubectl describe ") for look in looks.values())


def test_what_was_released_a_moment_ago_does_not_count_yet() -> None:
    young = Snapshot((), (volume("kept", "Released", stamp(11, 30)),), (), (), (), (), ())
    report = leftovers.found(young, NOW, SETTLE)
    assert report.facts["persistentvolumes"] == 0
    assert report.facts["too young to count"] == 1
    assert all(check.passed for check in report.checks)


def test_what_is_counted_is_told_and_turns_the_check_yellow() -> None:
    report = leftovers.found(EVERYTHING, NOW, SETTLE)
    assert [report.facts[kind] for kind in ("persistentvolumeclaims", "persistentvolumes", "services", "replicasets")] == [3, 2, 2, 2]
    checks = {check.name: check for check in report.checks}
    assert (checks[NOTHING].passed, checks[NOTHING].severity, checks[KNOWN].passed) == (False, "WARN", True)


def test_without_the_other_half_nothing_is_accused_and_nothing_is_good() -> None:
    """A user who may not list EndpointSlices would find every Service left over."""
    kube = FakeKube()
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "cmp"}})
    kube.put(service("good", selector={"app": "good"}))
    kube.forbid("list", ENDPOINT_SLICE)
    seen = leftovers.observe(kube)
    assert isinstance(seen.slices, Unknown)
    report = leftovers.found(seen, NOW, SETTLE)
    assert report.facts["services"] == 0
    assert not any(check.passed for check in report.checks)
    assert "endpointslices" in report.summary
