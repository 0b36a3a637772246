"""The scratch cluster of a proof: a complete Cluster that restores one backup to one WAL position, shut off from everything else.

It archives nothing (a drill that writes into the production archive is the likeliest way to break it), takes the source's image and
parameters, has one instance, and may only be spoken to by the operator and speak to DNS, the API server and the object store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from gsv_ops.database import source
from gsv_ops.database.source import Archive
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NETWORK_POLICY, POSTGRES_CLUSTER

ORIGIN = "origin"
NOW = "the newest commit when it runs"
"""Stands in a plan for the position of a fingerprint that is taken by the run itself."""

POSTGRES_PORT = 5432
STATUS_PORT = 8000
DNS_PORT = 53
DEFAULT_PORTS = {"http": 80, "https": 443}

# What a restored instance needs of the source's configuration to start and to read the same: CloudNativePG 1.30, ClusterSpec.
COPIED = (
    *("imageName", "imageCatalogRef", "imagePullSecrets", "imagePullPolicy", "postgresUID", "postgresGID", "resources", "schedulerName"),
    *(
        "seccompProfile",
        "podSecurityContext",
        "securityContext",
        "ephemeralVolumesSizeLimit",
        "serviceAccountTemplate",
        "env",
        "envFrom",
        "projectedVolumeTemplate",
    ),
)
COPIED_POSTGRESQL = ("parameters", "shared_preload_libraries", "pg_ident", "extensions")
VOLUME_FIELDS = ("size", "storageClass", "pvcTemplate", "resizeInUseVolumes")


def cluster(name: str, origin: Object, archive: Archive, target: Mapping[str, Any], volume_sizes: Mapping[str, str]) -> dict[str, Any]:
    """The scratch Cluster's manifest. `volume_sizes`: the real sizes of `storage` and `walStorage`, which may have grown past the spec."""
    spec = origin["spec"]
    owner = _bootstrap(spec)
    body: dict[str, Any] = {key: spec[key] for key in COPIED if spec.get(key) not in (None, {}, [])}
    body |= {
        "instances": 1,
        "enablePDB": False,
        "enableSuperuserAccess": False,
        "description": "scratch cluster of a backup's proof; removed when the proof ends",
        "storage": _volume(spec["storage"], volume_sizes.get("storage")),
        "postgresql": {key: spec["postgresql"][key] for key in COPIED_POSTGRESQL if at(spec, "postgresql", key)},
        "bootstrap": {
            "recovery": {
                "source": ORIGIN,
                "database": owner.get("database", "app"),
                "owner": owner.get("owner", "app"),
                "recoveryTarget": dict(target),
            }
        },
        "externalClusters": [_origin(origin, archive)],
    }
    if spec.get("walStorage"):
        body["walStorage"] = _volume(spec["walStorage"], volume_sizes.get("walStorage"))
    if spec.get("tablespaces"):
        body["tablespaces"] = [{**space, "storage": _volume(space["storage"], None)} for space in spec["tablespaces"]]
    affinity = {key: value for key, value in (spec.get("affinity") or {}).items() if key in ("nodeSelector", "nodeAffinity", "tolerations")}
    if affinity:
        body["affinity"] = affinity
    return {"apiVersion": POSTGRES_CLUSTER.api_version, "kind": POSTGRES_CLUSTER.kind, "metadata": {"name": name}, "spec": body}


def target_of(backup_id: str, lsn: str, timeline: int) -> dict[str, Any]:
    """The recovery target: everything before `lsn` on `timeline`, from that base backup and no other."""
    return {"backupID": backup_id, "targetLSN": lsn, "targetTLI": str(timeline), "exclusive": True}


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


def _origin(origin: Object, archive: Archive) -> dict[str, Any]:
    if archive.method == "plugin":
        parameters = {"barmanObjectName": archive.object_store, "serverName": archive.server_name}
        return {"name": ORIGIN, "plugin": {"name": source.BARMAN_PLUGIN, "parameters": parameters}}
    store = {key: value for key, value in at(origin, "spec", "backup", "barmanObjectStore").items() if key != "serverName"}
    return {"name": ORIGIN, "barmanObjectStore": {**store, "serverName": archive.server_name}}


def _bootstrap(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    bootstrap = spec.get("bootstrap") or {}
    found: Mapping[str, Any] = next((part for part in bootstrap.values() if isinstance(part, Mapping) and part.get("database")), {})
    return found


def _volume(storage: Mapping[str, Any], real_size: str | None) -> dict[str, Any]:
    volume = {key: storage[key] for key in VOLUME_FIELDS if storage.get(key) not in (None, {})}
    return {**volume, "size": real_size} if real_size else volume


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
