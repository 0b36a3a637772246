"""The right cluster: no change where no environment is chosen, none is bound, or another cluster answers."""

import pytest

from gsv_ops.platform import environments
from gsv_ops.platform.environments import WrongCluster
from gsv_ops.platform.spec import InvalidSpec

HERE = "5bb2a9a2-6a0c-4f0e-9d0a-000000000001"
ELSEWHERE = "5bb2a9a2-6a0c-4f0e-9d0a-000000000002"
SANDBOX = {"GSV_ENVIRONMENT": "sandbox", "GSV_CLUSTER_IDENTITY": HERE}


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        (
            {},
            "GSV_ENVIRONMENT is not set, so no cluster may be changed; expected one of the environments of platform.yaml. "
            "Set it where the code location is started, for example GSV_ENVIRONMENT=dev.",
        ),
        (
            {"GSV_ENVIRONMENT": "prod", "GSV_CLUSTER_IDENTITY": HERE},
            f"environment 'prod' is bound to no cluster yet, so nothing may be changed; this cluster's identity is {HERE}. "
            "If it is the right one, write it to platform.yaml as environments.prod.cluster_identity, "
            "or where that says from_environment, set GSV_CLUSTER_IDENTITY.",
        ),
        (
            SANDBOX | {"GSV_CLUSTER_IDENTITY": ELSEWHERE},
            f"this is not the cluster of environment 'sandbox': its kube-system namespace has UID {HERE}, expected {ELSEWHERE}. "
            "Check the kubeconfig's context (GSV_KUBECONFIG, KUBECONFIG) against GSV_ENVIRONMENT.",
        ),
    ],
    ids=["unset", "unbound", "other cluster"],
)
def test_why_nothing_may_be_changed(environ: dict[str, str], message: str) -> None:
    with pytest.raises(WrongCluster) as caught:
        environments.binding(environ).check(HERE)
    assert str(caught.value) == message


def test_the_bound_cluster_may_be_changed() -> None:
    environments.binding(SANDBOX).check(HERE)


@pytest.mark.parametrize("identity", ["", None])
def test_an_identity_that_should_come_from_the_process_and_does_not_binds_nothing(identity: str | None) -> None:
    environ = {"GSV_ENVIRONMENT": "sandbox"} | ({} if identity is None else {"GSV_CLUSTER_IDENTITY": identity})
    bound = environments.binding(environ)
    assert bound.expected_identity is None
    for live in (HERE, ""):
        with pytest.raises(WrongCluster, match="bound to no cluster"):
            bound.check(live)


def test_an_empty_name_is_no_environment() -> None:
    bound = environments.binding({"GSV_ENVIRONMENT": ""})
    assert (bound.environment, bound.automation) == (None, False)


def test_an_unknown_environment_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"GSV_ENVIRONMENT='stage' is not in platform\.yaml; it names dev, prod, qa, sandbox"):
        environments.binding({"GSV_ENVIRONMENT": "stage"})


def test_automation_is_the_environments_own_word() -> None:
    assert environments.binding(SANDBOX).automation
    assert not environments.binding({"GSV_ENVIRONMENT": "prod"}).automation
    assert not environments.binding({}).automation


def test_an_environment_sees_its_overrides() -> None:
    margins = {name: environments.binding({"GSV_ENVIRONMENT": name}).spec.databases["cmp_postgres"].proof for name in ("dev", "sandbox")}
    assert {name: proof.storage_margin_percent for name, proof in margins.items()} == {"dev": 20, "sandbox": 10}
