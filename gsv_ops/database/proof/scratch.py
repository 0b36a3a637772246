"""The scratch cluster of a proof: its manifest is `manifest.drill`, and it is shut off from everything else.

It archives nothing (a drill that writes into the production archive is the likeliest way to break it), and may only be spoken to by the
operator and speak to DNS, the API server and the object store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gsv_ops.database import source
from gsv_ops.kube.objects import at
from gsv_ops.kube.resources import ENDPOINT_SLICE, NETWORK_POLICY
from gsv_ops.operations.operation import Desk

NOW = "the newest commit when it runs"
"""Stands in a plan for the position of a fingerprint that is taken by the run itself."""

POSTGRES_PORT = 5432
STATUS_PORT = 8000
DNS_PORT = 53
DEFAULT_PORTS = {"http": 80, "https": 443}


def api_servers(desk: Desk) -> tuple[tuple[str, int], ...]:
    """Where the API server answers: addresses and ports."""
    found = desk.kube.list(ENDPOINT_SLICE, "default", labels="kubernetes.io/service-name=kubernetes")
    return tuple(
        sorted(
            (address, int(port["port"]))
            for piece in found
            for endpoint in piece.get("endpoints") or []
            for address in endpoint["addresses"]
            for port in piece.get("ports") or []
        )
    )


def network_policy(name: str, operator_namespace: str, api_servers: Sequence[tuple[str, int]], store_url: str | None) -> dict[str, Any]:
    """Only the operator and its own pods may speak to the scratch cluster; it speaks to DNS, the API server and the object store."""
    pods = {"matchLabels": {source.CLUSTER_LABEL: name}}
    own = {"podSelector": pods}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": operator_namespace}}}
    ports = [{"protocol": "TCP", "port": POSTGRES_PORT}, {"protocol": "TCP", "port": STATUS_PORT}]
    dns = [{"protocol": protocol, "port": DNS_PORT} for protocol in ("UDP", "TCP")]
    egress: list[dict[str, Any]] = [{"to": [own]}, {"ports": dns}]
    egress += [{"to": [_block(ip)], "ports": [{"protocol": "TCP", "port": port}]} for ip, port in api_servers]
    egress.append(_to_store(store_url))
    return {
        "apiVersion": NETWORK_POLICY.api_version,
        "kind": NETWORK_POLICY.kind,
        "metadata": {"name": name},
        "spec": {
            "podSelector": pods,
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [own]}, {"from": [operator], "ports": ports}],
            "egress": egress,
        },
    }


def _to_store(url: str | None) -> dict[str, Any]:
    parts = urlsplit(url or "https://")
    port = {"protocol": "TCP", "port": parts.port or DEFAULT_PORTS.get(parts.scheme, 443)}
    host = parts.hostname or ""
    # a NetworkPolicy knows no host names: behind one, only the port can be said
    return {"to": [_block(host)], "ports": [port]} if host.replace(".", "").isdigit() else {"ports": [port]}


def _block(ip: str) -> dict[str, Any]:
    return {"ipBlock": {"cidr": f"{ip}/{128 if ':' in ip else 32}"}}


def describe(body: Mapping[str, Any]) -> str:
    """One line for the plan's table."""
    target = at(dict(body), "spec", "bootstrap", "recovery", "recoveryTarget")
    until = f"just before {target['targetLSN']} on timeline {target['targetTLI']}" if "targetLSN" in target else "a fingerprint taken first"
    size = at(dict(body), "spec", "storage", "size")
    return f"restore base backup {target['backupID']} and replay its WAL to {until}, one instance, {size}, archiving nothing"


def aimed(body: Mapping[str, Any], target: Mapping[str, Any]) -> dict[str, Any]:
    """The scratch Cluster's manifest with that recovery target."""
    spec = body["spec"]
    recovery = {**spec["bootstrap"]["recovery"], "recoveryTarget": dict(target)}
    return {**body, "spec": {**spec, "bootstrap": {**spec["bootstrap"], "recovery": recovery}}}
