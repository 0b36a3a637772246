"""metrics-server: what pods and nodes use of processor and memory, as `metrics.k8s.io` behind the API server."""

from __future__ import annotations

import base64
from pathlib import Path

import urllib3
from kubernetes.client.exceptions import ApiException

from gsv_sandbox import addresses as at
from gsv_sandbox.api import Api, Body, condition, wait_until
from gsv_sandbox.pki import METRICS_USER
from gsv_sandbox.processes import Processes, Service
from gsv_sandbox.state import Paths

NAME = "metrics-server"
NAMESPACE = "kube-system"
API_SERVICE = "v1beta1.metrics.k8s.io"
RBAC = "rbac.authorization.k8s.io"
# Two readings of the node, ten seconds apart, and the API server's next look at it
AVAILABLE_SECONDS = 120.0


def up(paths: Paths, binaries: Path, processes: Processes, api: Api) -> None:
    """Start it and have the API server send `metrics.k8s.io` to it; it is there when wait_available says so."""
    for body in manifest((paths.pki / "ca.crt").read_bytes()):
        api.apply(body)
    processes.start(service(paths, binaries))


def service(paths: Paths, binaries: Path) -> Service:
    kubeconfig = paths.kubeconfig(NAME)
    flags = {
        "kubeconfig": kubeconfig,
        "authentication-kubeconfig": kubeconfig,
        "authorization-kubeconfig": kubeconfig,
        "bind-address": at.NODE_IP,
        "secure-port": at.METRICS_PORT,
        "tls-cert-file": paths.pki / f"{NAME}.crt",
        "tls-private-key-file": paths.pki / f"{NAME}.key",
        "kubelet-certificate-authority": paths.pki / "ca.crt",
        "kubelet-preferred-address-types": "InternalIP",
        "kubelet-use-node-status-port": "true",
        # The shortest it takes: what a test has changed is seen soon.
        "metric-resolution": "10s",
        "kubelet-request-timeout": "5s",
    }
    return Service(NAME, (str(binaries / NAME), *(f"--{name}={value}" for name, value in flags.items())))


def wait_available(api: Api, processes: Processes) -> None:
    """Wait until the API server answers for `metrics.k8s.io`."""
    wait_until(
        f"the APIService {API_SERVICE} available",
        lambda: available(api),
        AVAILABLE_SECONDS,
        lambda: f"The end of {processes.log(NAME)}:\n{processes.tail(NAME)}",
    )


def available(api: Api) -> bool:
    """Whether the API server thinks so, and an answer came: what it thinks of a process that just died is half a minute old."""
    if not condition(api.get("apiregistration.k8s.io/v1", "APIService", API_SERVICE), "Available"):
        return False
    try:
        api.request("GET", "/apis/metrics.k8s.io/v1beta1")
    except (ApiException, urllib3.exceptions.HTTPError):
        return False
    return True


def manifest(authority: bytes) -> list[Body]:
    """Its rights, its Service (without a selector: it is no pod), where that leads, and the API that it serves."""
    slice_name = f"{NAME}-sandbox"
    return [
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": "ClusterRole",
            "metadata": {"name": METRICS_USER},
            "rules": [
                {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
                {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]},
            ],
        },
        _binding("ClusterRoleBinding", METRICS_USER, {"kind": "ClusterRole", "name": METRICS_USER}),
        _binding("ClusterRoleBinding", f"{NAME}:system:auth-delegator", {"kind": "ClusterRole", "name": "system:auth-delegator"}),
        _binding("RoleBinding", f"{NAME}-auth-reader", {"kind": "Role", "name": "extension-apiserver-authentication-reader"}),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME, "namespace": NAMESPACE},
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": at.METRICS_PORT, "protocol": "TCP"}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": slice_name, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [at.NODE_IP], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": at.METRICS_PORT, "protocol": "TCP"}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "service": {"name": NAME, "namespace": NAMESPACE, "port": 443},
                "caBundle": base64.b64encode(authority).decode(),
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def _binding(kind: str, name: str, role: Body) -> Body:
    metadata = {"name": name} if kind == "ClusterRoleBinding" else {"name": name, "namespace": NAMESPACE}
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": metadata,
        "roleRef": {"apiGroup": RBAC, **role},
        "subjects": [{"kind": "User", "apiGroup": RBAC, "name": METRICS_USER}],
    }
