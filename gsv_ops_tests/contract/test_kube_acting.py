"""Speaking as a ServiceAccount for one thing: with its rights and no others, for as long as the thing lasts."""

import pytest

from gsv_ops.kube import errors, resources
from gsv_ops.kube.client import KubeClient, connect
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import CONFIG_MAP
from gsv_ops_tests.contract.bodies import config_map
from gsv_ops_tests.contract.conftest import Cluster

RBAC = "rbac.authorization.k8s.io"


def account(namespace: str, name: str = "other") -> Object:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def grant(kube: Kube, namespace: str, subject: Object, *rules: Object) -> None:
    metadata = {"name": f"may-{subject['name']}", "namespace": namespace}
    kube.create({"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": metadata, "rules": list(rules)})
    reference = {"apiGroup": RBAC, "kind": "Role", "name": metadata["name"]}
    kube.create({"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": metadata, "roleRef": reference, "subjects": [subject]})


def test_it_does_what_the_account_may(kube: Kube, namespace: str) -> None:
    kube.create(account(namespace))
    kube.create(config_map(namespace, "a", x="1"))
    subject = {"kind": "ServiceAccount", "name": "other", "namespace": namespace}
    grant(kube, namespace, subject, {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]})
    with kube.acting_as(namespace, "other") as other:
        assert other.get(CONFIG_MAP, "a", namespace)["data"] == {"x": "1"}


def test_an_account_that_is_not_there(kube: Kube, namespace: str) -> None:
    kube.create(account(namespace, "others"))
    with pytest.raises(errors.NotFound, match="did you mean others"), kube.acting_as(namespace, "other"):
        pytest.fail("it acts as nobody")


def test_who_may_not_ask_for_a_token_is_told_the_rule(restricted: Kube, namespace: str) -> None:
    with pytest.raises(errors.Forbidden) as caught, restricted.acting_as(namespace, "other"):
        pytest.fail("it acts without the right")
    assert caught.value.rule == '{apiGroups: [""], resources: ["serviceaccounts/token"], verbs: ["create"]}'


def test_a_kubelet_is_asked_by_who_may_get_nodes_proxy(restricted: Kube) -> None:
    with pytest.raises(errors.Forbidden) as caught:
        restricted.ask_node("n", "stats/summary")
    assert caught.value.rule == '{apiGroups: [""], resources: ["nodes/proxy"], verbs: ["get"]}'
    assert "A ClusterRole, bound to that user" in str(caught.value)


def test_a_node_that_is_not_there(kube: Kube) -> None:
    with pytest.raises(errors.NotFound, match=r"nodes \"n\".*does not exist"):
        kube.ask_node("n", "stats/summary")


@pytest.mark.control_plane
def test_it_has_none_of_our_rights_and_we_keep_them(admin: KubeClient, kube: Kube, namespace: str) -> None:
    """The administrator speaks by a client certificate, which would count before the token."""
    kube.create(account(namespace))
    with admin.acting_as(namespace, "other") as other:
        with pytest.raises(errors.Forbidden) as caught:
            other.list(resources.NODE)
        assert caught.value.user == f"system:serviceaccount:{namespace}:other"
        assert admin.list(resources.NODE) == []
    with pytest.raises((errors.Forbidden, errors.Unauthorized)) as late:
        other.list(resources.NODE)
    assert getattr(late.value, "user", "") in ("", "system:anonymous")


@pytest.mark.control_plane
def test_the_right_is_that_of_one_name(admin: KubeClient, cluster: Cluster, kube: Kube, namespace: str) -> None:
    for name in ("mine", "not-mine"):
        kube.create(account(namespace, name))
    user = {"kind": "User", "apiGroup": RBAC, "name": "restricted"}
    rule = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["mine"], "verbs": ["create"]}
    grant(kube, namespace, user, rule)
    restricted = connect(cluster.restricted)
    with restricted.acting_as(namespace, "mine") as other, pytest.raises(errors.Forbidden) as denied:
        other.get(CONFIG_MAP, "a", namespace)
    assert denied.value.user == f"system:serviceaccount:{namespace}:mine"
    with pytest.raises(errors.Forbidden), restricted.acting_as(namespace, "not-mine"):
        pytest.fail("it acts as another than granted")
