"""What a user is told who may not, whatever stands behind the Kube."""

from collections.abc import Callable

import pytest

from gsv_ops.kube import errors
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.resources import CONFIG_MAP, NODE, SECRET
from gsv_ops_tests.contract.bodies import config_map


def test_a_denial_in_a_namespace_names_the_user_and_the_role_that_would_do(restricted: Kube, namespace: str) -> None:
    with pytest.raises(errors.Forbidden) as caught:
        restricted.get(SECRET, "s", namespace)

    error = caught.value
    assert error.user == "restricted"
    assert error.rule == '{apiGroups: [""], resources: ["secrets"], verbs: ["get"]}'
    assert str(error) == (
        f'get secrets "s" in namespace "{namespace}": user "restricted" may not get secrets in namespace "{namespace}". '
        f'A Role in namespace "{namespace}", bound to that user by a RoleBinding, would grant it with the rule {error.rule}'
    )


def test_a_denial_in_the_cluster_asks_for_a_cluster_role(restricted: Kube) -> None:
    with pytest.raises(errors.Forbidden, match=r"user \"restricted\" may not list nodes\. A ClusterRole, bound .* ClusterRoleBinding"):
        restricted.list(NODE)


def test_what_may_not_be_looked_for_is_forbidden_not_missing(restricted: Kube, namespace: str) -> None:
    for attempt in (
        lambda: restricted.create(config_map(namespace, "a")),
        lambda: restricted.apply(config_map(namespace, "a")),
        lambda: restricted.patch(CONFIG_MAP, "a", namespace, {"data": {}}),
        lambda: restricted.delete(CONFIG_MAP, "a", namespace, uid="0"),
        lambda: restricted.list(CONFIG_MAP, namespace + "x"),
    ):
        with pytest.raises(errors.Forbidden, match='"restricted" may not'):
            attempt()


@pytest.mark.parametrize(
    ("verb", "rule"), [("exec", '"pods/exec"'), ("logs", '"pods/log"'), ("open_port", '"pods"')], ids=["exec", "logs", "open_port"]
)
def test_a_denial_of_a_stream_names_its_subresource(restricted: Kube, namespace: str, verb: str, rule: str) -> None:
    attempts: dict[str, Callable[[], object]] = {
        "exec": lambda: restricted.exec(namespace, "p", "c", ["true"]),
        "logs": lambda: restricted.logs(namespace, "p", "c"),
        "open_port": lambda: restricted.open_port(namespace, "p", 80),
    }
    with pytest.raises(errors.Forbidden) as caught:
        attempts[verb]()
    assert f'resources: [{rule}], verbs: ["get"]' in caught.value.rule
