"""The manifest of a Cluster that begins with a restore: one builder for the scratch cluster of a proof and for a restore that stays.

Both take the source's image, parameters and volumes, since PostgreSQL refuses to start a restored data directory under smaller ones. The
scratch cluster leaves out whatever it does not need to be read; the one that stays is the source again but for what cannot be shared.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

from gsv_ops.database import source
from gsv_ops.database.source import Archive
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.quantity import bytes_of
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import sealed

ORIGIN = "origin"
NOT_KEPT = "not written down"
APP = "app"
"""What CloudNativePG calls the application's database and role where a manifest names none."""

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

NOT_SHARED = {
    "bootstrap": "it begins with the restore",
    "externalClusters": "it names the archive that is restored from",
    "replica": "it is a primary of its own, not a replica of another cluster",
    "certificates": "its certificates are made by the operator: the source's are for the source's host names",
}
"""What a cluster that stays does not take from its source, and why."""


def drill(name: str, origin: Object, archive: Archive, target: Mapping[str, Any], volume_sizes: Mapping[str, str]) -> dict[str, Any]:
    """A scratch Cluster. `volume_sizes`: the real sizes of `storage` and `walStorage`, which may have grown past the spec."""
    spec = origin["spec"]
    body: dict[str, Any] = {key: spec[key] for key in COPIED if spec.get(key) not in (None, {}, [])}
    body |= _environment(origin)
    body |= {
        "instances": 1,
        "enablePDB": False,
        "enableSuperuserAccess": False,
        "description": "scratch cluster of a backup's proof; removed when the proof ends",
        "postgresql": {key: spec["postgresql"][key] for key in COPIED_POSTGRESQL if at(spec, "postgresql", key)},
        **_volumes(spec, volume_sizes),
        **_recovery(origin, archive, target),
    }
    affinity = {key: value for key, value in (spec.get("affinity") or {}).items() if key in ("nodeSelector", "nodeAffinity", "tolerations")}
    if affinity:
        body["affinity"] = affinity
    return _cluster(name, body)


def lasting(
    name: str,
    origin: Object,
    archive: Archive,
    target: Mapping[str, Any],
    volume_sizes: Mapping[str, str],
    *,
    instances: int,
    server_name: str,
) -> dict[str, Any]:
    """A Cluster that stays: the source's whole spec, its own archive under `server_name`, and nothing that the two cannot share."""
    spec = copy.deepcopy(dict(origin["spec"]))
    body = {key: value for key, value in spec.items() if key not in NOT_SHARED}
    body |= {**_environment(origin), "instances": instances, **_volumes(spec, volume_sizes), **_recovery(origin, archive, target)}
    if secret := bootstrap(spec).get("secret"):
        body["bootstrap"]["recovery"]["secret"] = secret
    body["externalClusters"] += [
        other
        for other in spec.get("externalClusters") or []
        if other["name"] not in (ORIGIN, at(spec, "bootstrap", "recovery", "source"), at(spec, "replica", "source"))
    ]
    if body.get("plugins"):
        body["plugins"] = [_archiving(plugin, server_name) for plugin in body["plugins"]]
    if at(body, "backup", "barmanObjectStore"):
        body["backup"]["barmanObjectStore"]["serverName"] = server_name
    if at(body, "managed", "services"):
        # their names are the source's
        body["managed"] = {key: value for key, value in body["managed"].items() if key != "services"}
    return _cluster(name, body)


def exactly_before(backup_id: str, lsn: str, timeline: int) -> dict[str, Any]:
    """The recovery target: everything before `lsn` on `timeline`, from that base backup and no other."""
    return {"backupID": backup_id, "targetLSN": lsn, "targetTLI": str(timeline), "exclusive": True}


def bootstrap(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """How the source itself began, as far as it names the application's database and owner; empty where it does not."""
    parts = (spec.get("bootstrap") or {}).values()
    found: Mapping[str, Any] = next((part for part in parts if isinstance(part, Mapping) and part.get("database")), {})
    return found


def real_sizes(cluster: Object, claims: tuple[Object, ...]) -> dict[str, str]:
    """The sizes of `storage` and `walStorage` that the volume claims really ask for, where those are larger than the spec's."""
    roles = {"PG_DATA": "storage", "PG_WAL": "walStorage"}
    sizes: dict[str, str] = {}
    for claim in claims:
        part = roles.get(at(claim, "metadata", "labels", "cnpg.io/pvcRole", default=""))
        asked = at(claim, "spec", "resources", "requests", "storage")
        known = (sizes.get(part) or at(cluster, "spec", part, "size")) if part else None
        if part and asked and (not known or bytes_of(asked) > bytes_of(known)):
            sizes[part] = asked
    return sizes


def difference(was: Mapping[str, Any], now: Mapping[str, Any]) -> list[dict[str, str]]:
    """What two specs do not agree in: a row per field, with what stands in either."""
    before, after = (dict(_leaves({**spec, **_names_only(spec)})) for spec in (was, now))
    return [
        {"field": path, "source": _shown(before.get(path)), "restored": _shown(after.get(path))}
        for path in sorted({*before, *after})
        if before.get(path) != after.get(path)
    ]


def _environment(origin: Object) -> dict[str, Any]:
    """The source's environment variables without their values, which are filled in when the Cluster is made: one may be a token."""
    env = origin["spec"].get("env") or []
    return {"env": sealed.items(env, origin, "spec.env")} if env else {}


def without_values(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The spec as it may be written down: its environment variables by name, their literal values left out."""
    env = [{**item, "value": NOT_KEPT} if "value" in item else dict(item) for item in spec.get("env") or []]
    return {**spec, "env": env} if env else dict(spec)


def filled_in(origin: Object) -> dict[str, str]:
    """What a plan says of the values that are not in it; empty where there are none."""
    names = [str(item["name"]) for item in origin["spec"].get("env") or [] if "value" in item]
    told = "whose values are filled in from the source when it is made" if at(origin, "metadata", "uid") else "left out: the source is gone"
    return {f"environment variables {told}": ", ".join(names)} if names else {}


def _names_only(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"env": [str(item["name"]) for item in env]} if (env := spec.get("env")) else {}


def _cluster(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"apiVersion": POSTGRES_CLUSTER.api_version, "kind": POSTGRES_CLUSTER.kind, "metadata": {"name": name}, "spec": dict(spec)}


def _recovery(origin: Object, archive: Archive, target: Mapping[str, Any]) -> dict[str, Any]:
    owner = bootstrap(origin["spec"])
    recovery = {
        "source": ORIGIN,
        "database": owner.get("database", APP),
        "owner": owner.get("owner", APP),
        "recoveryTarget": dict(target),
    }
    return {"bootstrap": {"recovery": recovery}, "externalClusters": [_origin(origin, archive)]}


def _origin(origin: Object, archive: Archive) -> dict[str, Any]:
    if archive.method == "plugin":
        parameters = {"barmanObjectName": archive.object_store, "serverName": archive.server_name}
        return {"name": ORIGIN, "plugin": {"name": source.BARMAN_PLUGIN, "parameters": parameters}}
    store = {key: value for key, value in at(origin, "spec", "backup", "barmanObjectStore").items() if key != "serverName"}
    return {"name": ORIGIN, "barmanObjectStore": {**store, "serverName": archive.server_name}}


def _archiving(plugin: Mapping[str, Any], server_name: str) -> dict[str, Any]:
    if plugin.get("name") != source.BARMAN_PLUGIN:
        return dict(plugin)
    return {**plugin, "parameters": {**(plugin.get("parameters") or {}), "serverName": server_name}}


def _volumes(spec: Mapping[str, Any], sizes: Mapping[str, str]) -> dict[str, Any]:
    volumes: dict[str, Any] = {part: _volume(spec[part], sizes.get(part)) for part in ("storage", "walStorage") if spec.get(part)}
    if spec.get("tablespaces"):
        volumes["tablespaces"] = [{**space, "storage": _volume(space["storage"], None)} for space in spec["tablespaces"]]
    return volumes


def _volume(storage: Mapping[str, Any], real_size: str | None) -> dict[str, Any]:
    volume = {key: storage[key] for key in VOLUME_FIELDS if storage.get(key) not in (None, {})}
    return {**volume, "size": real_size} if real_size else volume


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, item in value.items():
            yield from _leaves(item, f"{path}.{key}" if path else str(key))
    elif path:
        yield path, value


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)
