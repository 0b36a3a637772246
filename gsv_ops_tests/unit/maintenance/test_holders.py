"""Who else sets a field, and what is said of it."""

import json
from typing import Any

import pytest

from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance.holders import Tracking, holder, tracked_by
from gsv_ops_tests.unit.maintenance.bodies import application, workload

REPLICAS = [("spec", "replicas")]
CPU = [("spec", "template", "spec", "containers", "name=web", "resources", "limits", "cpu")]


def managed(manager: str, fields: Object, **metadata: Any) -> Object:
    return workload(managedFields=[{"manager": manager, "operation": "Update", "fieldsV1": fields}], **metadata)


OF_REPLICAS = {"f:spec": {"f:replicas": {}}}
OF_CPU = {"f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"web"}': {"f:resources": {"f:limits": {"f:cpu": {}}}}}}}}}
OTHER = {"f:spec": {"f:template": {}}}
APPLIED = {"kubectl.kubernetes.io/last-applied-configuration": json.dumps({"spec": {"replicas": 2}})}
IGNORED = {"ignoreDifferences": [{"group": "apps", "kind": "Deployment", "jsonPointers": ["/spec/replicas"]}]}
GIT = "set spec.replicas in https://git.invalid/gitops charts/web (values-dev.yaml)"


@pytest.mark.parametrize(
    ("body", "tracking", "refused", "said"),
    [
        (managed("kubectl", OF_REPLICAS), Tracking(), "", ""),
        (managed("argocd-controller", OF_REPLICAS), Tracking(application()), GIT, ""),
        # Git says nothing of it
        (managed("argocd-controller", OTHER), Tracking(application()), "", "Git does not set spec.replicas, so this stays"),
        # Git holds it, though somebody else wrote it last
        (managed("kubectl", OF_REPLICAS, annotations=APPLIED), Tracking(application()), GIT, ""),
        # nobody wrote down who manages what
        (workload(), Tracking(application()), "puts back what Git says within seconds", ""),
        (
            managed("argocd-controller", OF_REPLICAS),
            Tracking(application(heals=False)),
            "",
            "it lasts until the next sync of application web",
        ),
        (managed("argocd-controller", OF_REPLICAS), Tracking(application(**IGNORED)), "", "ignores differences of spec.replicas"),
        (managed("argocd-controller", OF_REPLICAS), Tracking(), "its Application is not on this cluster", ""),
        (managed("argocd-controller", OF_REPLICAS), Tracking(unread="403"), "its Application could not be read: 403", ""),
        (managed("kustomize-controller", OF_REPLICAS), Tracking(), "Flux (kustomize-controller) sets spec.replicas", ""),
        (managed("helm", OF_REPLICAS, annotations={"meta.helm.sh/release-name": "web"}), Tracking(), "", "Helm release web made it"),
        (
            workload(ownerReferences=[{"kind": "Keycloak", "name": "sso", "uid": "k", "controller": True}]),
            Tracking(),
            "it belongs to Keycloak sso, whose operator sets spec.replicas itself",
            "",
        ),
    ],
)
def test_who_sets_the_replicas_decides(body: Object, tracking: Tracking, refused: str, said: str) -> None:
    found = holder(body, REPLICAS, tracking, "spec.replicas")
    assert refused in found.refused
    assert bool(found.refused) is bool(refused)
    assert said in " ".join(found.said)
    assert bool(found.said) is bool(said)


def test_a_container_is_found_by_its_name() -> None:
    assert holder(managed("argocd-controller", OF_CPU), CPU, Tracking(application()), "x").refused
    memory = [(*CPU[0][:-1], "memory")]
    assert not holder(managed("argocd-controller", OF_CPU), memory, Tracking(application()), "x").refused
    other = [("spec", "template", "spec", "containers", "name=side", "resources", "limits", "cpu")]
    assert not holder(managed("argocd-controller", OF_CPU), other, Tracking(application()), "x").refused


def test_an_operator_that_turned_self_healing_off_is_heard() -> None:
    off = application(syncPolicy={"automated": {"enabled": False, "selfHeal": True}})
    assert not holder(managed("argocd-controller", OF_REPLICAS), REPLICAS, Tracking(off), "spec.replicas").refused


@pytest.mark.parametrize(
    ("metadata", "name"),
    [
        ({}, ""),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:cmp/web"}}, "web"),
        ({"annotations": {"argocd.argoproj.io/tracking-id": "argocd_web:apps/Deployment:cmp/web"}}, "web"),
        # copied along from another object, or from another namespace
        ({"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:cmp/other"}}, ""),
        ({"labels": {"app.kubernetes.io/instance": "web"}}, "web"),
    ],
)
def test_what_tracks_it_is_read_off_the_object(metadata: Object, name: str) -> None:
    assert tracked_by(workload(**metadata)) == name
