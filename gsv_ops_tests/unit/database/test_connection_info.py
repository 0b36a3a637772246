"""How to open a session: the names of everything, the guide's commands as they work, and no value."""

from typing import Any

import pytest

from gsv_ops.database import connection_info
from gsv_ops.operations.operation import Markdown
from gsv_ops_tests.unit.database.a_cluster import cluster


def shown(**changes: Any) -> tuple[dict[str, Any], str]:
    facts = connection_info.facts(cluster(**changes), "agent_registry")
    how = facts["how to open a session"]
    assert isinstance(how, Markdown)
    return dict(facts), how.text


def test_the_names_are_those_of_the_live_cluster() -> None:
    facts, how = shown(status__writeService="cmp-postgres-rw", status__certificates={"serverCASecret": "its-ca"})
    assert (facts["host"], facts["port"], facts["database"]) == ("cmp-postgres-rw.cmp.svc", 5432, "agent_registry")
    assert (facts["Secret with the login"], facts["Secret with the certificate authority"]) == ("cmp/cmp-postgres-app", "cmp/its-ca")
    assert "kubectl exec -it cmp-postgres-1 -n cmp -c postgres -- psql -d agent_registry" in how
    assert "kubectl port-forward -n cmp svc/cmp-postgres-rw 5432:5432" in how
    assert "-U postgres" not in how, "the guide's own command cannot log in"


@pytest.mark.parametrize(("access", "told"), [(False, "`postgres` cannot log in over the network"), (True, "Secret `its-superuser`")])
def test_whether_the_superuser_can_log_in_is_said(access: bool, told: str) -> None:
    assert told in shown(spec__enableSuperuserAccess=access, spec__superuserSecret={"name": "its-superuser"})[1]


def test_while_the_primary_moves_none_is_guessed() -> None:
    how = shown(status__targetPrimary="cmp-postgres-2")[1]
    assert "kubectl exec -it cmp-postgres-" not in how
    ask = "kubectl get clusters.postgresql.cnpg.io cmp-postgres -n cmp -o jsonpath='{.status.currentPrimary}'"
    assert f'kubectl exec -it "$({ask})" -n cmp -c postgres' in how


def test_a_restored_cluster_has_the_login_it_was_given() -> None:
    facts, how = shown(spec__bootstrap={"recovery": {"secret": {"name": "its-app"}}})
    assert facts["Secret with the login"] == "cmp/its-app"
    assert "get secret its-app -n cmp" in how
