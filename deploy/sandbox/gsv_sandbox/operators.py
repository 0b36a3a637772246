"""CloudNativePG, its Barman Cloud plugin and the local-path provisioner, from their own release manifests."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml
from cryptography.x509.oid import ExtendedKeyUsageOID

from gsv_sandbox import pki
from gsv_sandbox.api import Api, Body, condition, wait_until
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths, write_private

NAMESPACE = "cnpg-system"
OPERATOR = "cnpg-controller-manager"
PLUGIN = "barman-cloud"
STORAGE_NAMESPACE = "local-path-storage"
STORAGE_CLASS = "local-path"
PROVISIONER = "local-path-provisioner"
BUSYBOX_IMAGE = "localhost/busybox:1.35"

# On the Deployment, which is applied last: whoever finds it there knows that the whole manifest is in place.
APPLIED = "gsv-sandbox/manifest"
AVAILABLE_SECONDS = 180.0

# What the release grants the operator's processor, 0.1, makes each of its starts last half a minute.
OPERATOR_CPU = "500m"


def operator_manifest(text: str, image: str) -> list[Body]:
    """The release's manifest with our image, never pulled, and with processor enough to start quickly."""
    text = re.sub(r"[\w.:/-]+/cloudnative-pg/cloudnative-pg:[\w.-]+", image, text)
    text = text.replace("imagePullPolicy: Always", "imagePullPolicy: IfNotPresent")
    bodies = documents(text)
    for container in _containers(bodies, OPERATOR):
        container["resources"]["limits"]["cpu"] = OPERATOR_CPU
    return bodies


def plugin_manifest(text: str, image: str, sidecar: str) -> list[Body]:
    """The plugin's manifest with our images, without cert-manager's objects: plugin_certificates stands in for them."""
    bodies = [body for body in documents(text) if not body["apiVersion"].startswith("cert-manager.io/")]
    for body in bodies:
        if body["kind"] == "Secret" and "SIDECAR_IMAGE" in body.get("data", {}):
            body["data"]["SIDECAR_IMAGE"] = base64.b64encode(sidecar.encode()).decode()
    for container in _containers(bodies, PLUGIN):
        container["image"] = image
        container["imagePullPolicy"] = "IfNotPresent"
    return bodies


def plugin_certificates() -> list[Body]:
    """The two pairs that operator and plugin know each other by, each its own authority."""
    bodies = []
    for side, common_name, usage in (
        ("client", "barman-cloud-client", ExtendedKeyUsageOID.CLIENT_AUTH),
        ("server", "barman-cloud", ExtendedKeyUsageOID.SERVER_AUTH),
    ):
        certificate, key = pki.self_signed(common_name, usage)
        bodies.append(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "type": "kubernetes.io/tls",
                "metadata": {"name": f"barman-cloud-{side}-tls", "namespace": NAMESPACE},
                "stringData": {"tls.crt": certificate, "tls.key": key, "ca.crt": certificate},
            }
        )
    return bodies


def apply(api: Api, deployment: str, bodies: list[Body]) -> None:
    """Apply a manifest whose Deployment is `deployment`, unless the cluster holds just this one already."""
    digest = hashlib.sha256(json.dumps(bodies, sort_keys=True).encode()).hexdigest()[:16]
    present = api.get("apps/v1", "Deployment", deployment, NAMESPACE)
    if present is not None and present["metadata"].get("annotations", {}).get(APPLIED) == digest:
        return
    # Webhooks last but one: they refuse everything until the operator that answers them runs.
    for body in sorted(bodies, key=lambda body: (body["kind"] == "Deployment", "Webhook" in body["kind"])):
        if body["kind"] == "Deployment":
            body = {**body, "metadata": {**body["metadata"], "annotations": {APPLIED: digest}}}
        api.apply(body)


def apply_plugin_certificates(api: Api) -> None:
    """Make the pairs unless they are there: new ones would restart the plugin for nothing."""
    for body in plugin_certificates():
        if api.get("v1", "Secret", body["metadata"]["name"], NAMESPACE) is None:
            api.apply(body)


def wait_available(api: Api, *deployments: str) -> None:
    """Wait until the operators' Deployments are Available."""
    for name in deployments:
        wait_until(
            f"the Deployment {NAMESPACE}/{name} available",
            lambda name=name: _rolled_out(api.get("apps/v1", "Deployment", name, NAMESPACE)),  # type: ignore[misc]
            AVAILABLE_SECONDS,
            lambda: explain_pods(api, NAMESPACE),
        )


def storage_up(paths: Paths, binaries: Path, processes: Processes, api: Api) -> None:
    """The default StorageClass: directories below the state root, made by the provisioner's helper pods."""
    volumes = paths.data / "volumes"
    volumes.mkdir(exist_ok=True, mode=0o711)
    configuration = json.dumps({"nodePathMap": [{"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [str(volumes)]}]})
    for body in storage_manifest(configuration):
        api.apply(body)
    file = paths.config / "local-path.json"
    write_private(file, configuration)
    argv = (
        str(binaries / PROVISIONER),
        "start",
        f"--kubeconfig={paths.kubeconfig(PROVISIONER)}",
        f"--config={file}",
        f"--namespace={STORAGE_NAMESPACE}",
        f"--service-account-name={PROVISIONER}",
        "--configmap-name=local-path-config",
        f"--helper-image={BUSYBOX_IMAGE}",
    )
    processes.start(Service(PROVISIONER, argv, configuration=configuration))


def storage_manifest(configuration: str) -> list[Body]:
    script = '#!/bin/sh\nset -eu\n{} "$VOL_DIR"\n'
    helper = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {"containers": [{"name": "helper-pod", "image": BUSYBOX_IMAGE, "imagePullPolicy": "IfNotPresent"}]},
    }
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STORAGE_NAMESPACE}},
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": PROVISIONER, "namespace": STORAGE_NAMESPACE},
        },
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "rancher.io/local-path",
            "volumeBindingMode": "WaitForFirstConsumer",
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "local-path-config", "namespace": STORAGE_NAMESPACE},
            "data": {
                "config.json": configuration,
                "setup": script.format("mkdir -m 0777 -p"),
                "teardown": script.format("rm -rf"),
                "helperPod.yaml": yaml.safe_dump(helper),
            },
        },
    ]


def explain_pods(api: Api, namespace: str) -> str:
    """What the namespace's pods are doing, and its last warnings: for an error a person reads."""
    lines = []
    for pod in api.list("v1", "Pod", namespace):
        waiting = [
            f"{status['name']}: {state.get('reason', '')} {state.get('message', '')}".strip()
            for status in pod.get("status", {}).get("containerStatuses", [])
            for state in (status["state"].get("waiting") or status["state"].get("terminated"),)
            if state
        ]
        phase = pod.get("status", {}).get("phase", "?")
        lines.append(f"pod {pod['metadata']['name']}: {phase} {'; '.join(waiting)}".rstrip())
    warnings = api.list("v1", "Event", namespace, query="fieldSelector=type%3DWarning")
    for event in sorted(warnings, key=lambda event: str(event.get("lastTimestamp")))[-5:]:
        lines.append(f"warning: {event['involvedObject'].get('name')}: {event.get('message')}")
    return "\n".join(lines) or f"No pods are in {namespace}."


def failed_log(api: Api, namespace: str, lines: int = 5) -> str:
    """The last lines of the newest failed pod's log."""
    failed = [pod for pod in api.list("v1", "Pod", namespace) if pod.get("status", {}).get("phase") == "Failed"]
    if not failed:
        return explain_pods(api, namespace)
    newest = max(failed, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))
    return api.log(namespace, newest["metadata"]["name"], lines)


def documents(text: str) -> list[Body]:
    """The objects of a YAML stream, empty documents left out."""
    return [body for body in yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)) if body]


def _containers(bodies: Iterable[Body], deployment: str) -> list[dict[str, Any]]:
    found = [b for b in bodies if b["kind"] == "Deployment" and b["metadata"]["name"] == deployment]
    return [container for body in found for container in body["spec"]["template"]["spec"]["containers"]]


def _rolled_out(deployment: Body | None) -> bool:
    if deployment is None:
        return False
    seen = deployment.get("status", {}).get("observedGeneration") == deployment["metadata"]["generation"]
    current = deployment.get("status", {}).get("updatedReplicas", 0) == deployment["spec"].get("replicas", 1)
    return seen and current and condition(deployment, "Available")
