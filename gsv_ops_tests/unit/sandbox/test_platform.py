"""The platform on the sandbox: the identities' rights, the manifests, the Secrets, and what healthy means."""

import json
import stat

import pytest
from gsv_sandbox import database, identities, node, objectstore, platform
from gsv_sandbox.database import Login, writer_service
from gsv_sandbox.state import Paths

HEALTHY = {
    "spec": {"instances": 2},
    "status": {
        "phase": "Cluster in healthy state",
        "readyInstances": 2,
        "conditions": [{"type": "Ready", "status": "True"}],
    },
}


def rights(kind: str, name: str) -> set[tuple[str, str, str]]:
    (role,) = [b for b in identities.manifest() if (b["kind"], b["metadata"]["name"]) == (kind, name)]
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_reader_changes_nothing_and_sees_no_secret() -> None:
    found = rights("ClusterRole", "gsv-readonly")
    assert {verb for _, _, verb in found} == {"get", "list", "watch"}
    assert not {resource for _, resource, _ in found} & {"secrets", "pods/exec", "pods/portforward"}


def test_the_operator_reads_secrets_in_the_databases_namespace_alone() -> None:
    assert not {resource for _, resource, _ in rights("ClusterRole", "gsv-ops")} & {"secrets", "*"}
    assert rights("Role", "gsv-ops-secrets") == {("", "secrets", "get")}
    (binding,) = [b for b in identities.manifest() if b["kind"] == "RoleBinding" and b["roleRef"]["name"] == "gsv-ops-secrets"]
    assert binding["metadata"]["namespace"] == "cmp"


def test_kubelets_are_read_by_an_account_of_its_own_whose_token_only_the_operator_may_ask() -> None:
    """Getting nodes/proxy is nearly root on every node."""
    for role in ("gsv-ops", "gsv-readonly"):
        assert not {resource for _, resource, _ in rights("ClusterRole", role)} & {"nodes/proxy", "serviceaccounts/token"}
    assert rights("ClusterRole", "gsv-ops-logs") == {("", "nodes/proxy", "get")}
    bodies = identities.manifest()
    (holder,) = [b for b in bodies if b["kind"] == "ClusterRoleBinding" and b["roleRef"]["name"] == "gsv-ops-logs"]
    assert holder["subjects"] == [{"kind": "ServiceAccount", "name": "gsv-ops-logs", "namespace": "cmp"}]
    (role,) = [b for b in bodies if b["kind"] == "Role" and b["metadata"]["name"] == "gsv-ops-logs-token"]
    asks = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"], "resourceNames": ["gsv-ops-logs"]}
    assert role["rules"] == [asks]
    (binding,) = [b for b in bodies if b["kind"] == "RoleBinding" and b["roleRef"]["name"] == "gsv-ops-logs-token"]
    assert [subject["name"] for subject in binding["subjects"]] == ["gsv-ops"]


def test_the_operator_can_back_up_and_prove() -> None:
    found = rights("ClusterRole", "gsv-ops")
    for resource in ("clusters", "backups"):
        for verb in ("get", "list", "watch", "create", "patch", "delete"):
            assert ("postgresql.cnpg.io", resource, verb) in found
    for verb in ("create", "get"):
        assert ("", "pods/exec", verb) in found
    assert ("", "pods/log", "get") in found
    assert ("networking.k8s.io", "networkpolicies", "create") in found


def test_the_overlay_fits_the_sandbox() -> None:
    bodies = platform.overlay()
    (store,) = [body for body in bodies if body["kind"] == "ObjectStore"]
    assert store["spec"]["configuration"]["endpointURL"] == node.at.S3_URL
    assert store["spec"]["configuration"]["s3Credentials"]["accessKeyId"]["name"] == platform.STORE_SECRET
    (cluster,) = [body for body in bodies if body["kind"] == "Cluster"]
    assert (cluster["metadata"]["namespace"], cluster["metadata"]["name"]) == (platform.NAMESPACE, platform.CLUSTER)
    assert cluster["spec"]["managed"]["roles"][0]["passwordSecret"]["name"] == platform.OPERATOR_SECRET
    assert platform.buckets(bodies) == {"cmp-postgres"}
    # kubelet makes one dollar sign of two in a pod's arguments, which is how this SQL travels.
    assert not [sql for sql in cluster["spec"]["bootstrap"]["initdb"]["postInitApplicationSQL"] if "$$" in sql]


def test_healthy_is_ready_and_the_healthy_phase_and_every_instance() -> None:
    assert platform.is_healthy(HEALTHY)
    for change in (
        {"phase": "Failing over"},
        {"readyInstances": 1},
        {"conditions": [{"type": "Ready", "status": "Unknown"}]},
        {"conditions": []},
    ):
        assert not platform.is_healthy({**HEALTHY, "status": {**HEALTHY["status"], **change}})
    assert not platform.is_healthy({"spec": {"instances": 2}})
    assert not platform.is_healthy(None)


def test_the_stores_keys_stay_and_are_shown_to_nobody(paths: Paths) -> None:
    first = objectstore.keys(paths)
    assert objectstore.keys(paths) == first
    assert first.secret not in repr(first)
    assert stat.S_IMODE((paths.run / "s3-keys.json").stat().st_mode) == 0o600


def test_the_writers_password_is_in_a_private_file_alone(paths: Paths) -> None:
    login = Login("10.96.0.9", "agent_registry", "agent_registry", r"pass:wo\rd")
    service = writer_service(paths, login, 5.0)
    for shown in (*service.argv, *service.environment.values(), repr(login), repr(service)):
        assert login.password not in shown
    file = paths.run / "writer.pgpass"
    assert file.read_text() == "10.96.0.9:5432:agent_registry:agent_registry:pass\\:wo\\\\rd\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert service.environment["PGPASSFILE"] == str(file)
    assert service.name == database.WRITER


@pytest.mark.parametrize("passes", [True, False])
def test_without_bridge_filtering_every_service_is_masqueraded(paths: Paths, passes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node.network, "replies_pass_the_host", lambda: passes)
    assert node.proxy_config(paths)["nftables"] == {"masqueradeAll": not passes}


def test_pods_get_no_masquerade_and_an_own_range(paths: Paths) -> None:
    (bridge,) = json.loads(node.cni_config(paths))["plugins"]
    assert (bridge["bridge"], bridge["ipMasq"]) == ("gsv0", False)
    assert bridge["ipam"]["ranges"][0][0]["subnet"] == "10.88.0.0/24"
