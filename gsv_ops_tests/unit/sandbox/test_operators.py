"""The operators' manifests: our images, nothing pulled, no cert-manager, and everything else as released."""

import base64

import yaml
from gsv_sandbox import operators

OPERATOR = """\
apiVersion: v1
kind: Namespace
metadata: {name: cnpg-system}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: cnpg-controller-manager, namespace: cnpg-system}
spec:
  template:
    spec:
      containers:
      - name: manager
        image: registry.example/cloudnative-pg/cloudnative-pg:1.30.0
        imagePullPolicy: Always
        env: [{name: OPERATOR_IMAGE_NAME, value: "registry.example/cloudnative-pg/cloudnative-pg:1.30.0"}]
        resources: {limits: {cpu: 100m, memory: 200Mi}, requests: {cpu: 100m}}
---
"""
PLUGIN = """\
apiVersion: v1
kind: Secret
metadata: {name: plugin-barman-cloud-x, namespace: cnpg-system}
data: {SIDECAR_IMAGE: b2xk}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: barman-cloud, namespace: cnpg-system}
spec: {template: {spec: {containers: [{name: barman-cloud, image: "registry.example/plugin:main"}]}}}
---
apiVersion: cert-manager.io/v1
kind: Certificate
metadata: {name: barman-cloud-client, namespace: cnpg-system}
"""


def test_the_operator_is_ours_everywhere_it_names_itself_and_keeps_its_memory_limit() -> None:
    namespace, deployment = operators.operator_manifest(OPERATOR, "localhost/cloudnative-pg:1.30.0")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert namespace["kind"] == "Namespace"
    assert container["image"] == container["env"][0]["value"] == "localhost/cloudnative-pg:1.30.0"
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert container["resources"] == {"limits": {"cpu": "500m", "memory": "200Mi"}, "requests": {"cpu": "100m"}}
    assert "registry.example" not in yaml.safe_dump(deployment)


def test_the_plugin_gets_its_sidecar_and_no_certificate_of_cert_manager() -> None:
    secret, deployment = operators.plugin_manifest(PLUGIN, "localhost/plugin:1", "localhost/sidecar:1")
    assert base64.b64decode(secret["data"]["SIDECAR_IMAGE"]).decode() == "localhost/sidecar:1"
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == ("localhost/plugin:1", "IfNotPresent")


def test_the_plugins_pairs_are_two_secrets_with_their_own_authority() -> None:
    client, server = operators.plugin_certificates()
    assert client["metadata"]["name"] == "barman-cloud-client-tls"
    assert server["metadata"]["name"] == "barman-cloud-server-tls"
    assert client["stringData"]["tls.crt"] == client["stringData"]["ca.crt"] != server["stringData"]["tls.crt"]


def test_a_deployment_counts_only_when_the_newest_version_of_it_is_available() -> None:
    body = {
        "metadata": {"generation": 2},
        "spec": {"replicas": 1},
        "status": {
            "observedGeneration": 2,
            "updatedReplicas": 1,
            "conditions": [{"type": "Available", "status": "True"}],
        },
    }
    assert operators._rolled_out(body)
    for change in ({"observedGeneration": 1}, {"updatedReplicas": 0}, {"conditions": []}):
        assert not operators._rolled_out({**body, "status": {**body["status"], **change}})
    assert not operators._rolled_out(None)
