"""What a CloudNativePG Cluster says of itself, as far as backing it up and restoring it depends on it.

Pure functions of the Cluster object. Rules from CloudNativePG 1.30's API types; the recoverability fields of the Cluster's status are
not read, since the Barman Cloud plugin never sets them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

BARMAN_PLUGIN = "barman-cloud.cloudnative-pg.io"
HEALTHY_PHASE = "Cluster in healthy state"
HIBERNATION = "cnpg.io/hibernation"
FENCED = "cnpg.io/fencedInstances"
CLUSTER_LABEL = "cnpg.io/cluster"

Method = Literal["plugin", "barmanObjectStore", "volumeSnapshot", "none"]


@dataclass(frozen=True)
class Archive:
    """Where a cluster's backups and WAL go: the method, and for the plugin the ObjectStore and the server's name in it."""

    method: Method
    server_name: str
    object_store: str = ""

    @property
    def usable(self) -> bool:
        """Whether a restore to a WAL position can be made from it."""
        return self.method in ("plugin", "barmanObjectStore")


def archive(cluster: Object) -> Archive:
    """How this cluster is backed up, read from its live spec: the plugin if one archives its WAL, else the in-tree object store."""
    for plugin in at(cluster, "spec", "plugins", default=[]):
        if plugin.get("name") == BARMAN_PLUGIN and plugin.get("enabled", True) and plugin.get("isWALArchiver"):
            parameters = plugin.get("parameters") or {}
            return Archive("plugin", parameters.get("serverName") or objects.name(cluster), parameters.get("barmanObjectName", ""))
    backup = at(cluster, "spec", "backup", default={}) or {}
    if store := backup.get("barmanObjectStore"):
        return Archive("barmanObjectStore", store.get("serverName") or objects.name(cluster))
    return Archive("volumeSnapshot" if backup.get("volumeSnapshot") else "none", objects.name(cluster))


def primary(cluster: Object) -> str:
    """The pod that is primary now; empty while there is none or one is being moved."""
    current: str = at(cluster, "status", "currentPrimary", default="") or ""
    return current if current == at(cluster, "status", "targetPrimary") else ""


def targeted_at(cluster: Object) -> datetime | None:
    """When the target primary was last set, by whoever set it; None where the status does not say it readably."""
    try:
        return objects.parse_time(str(at(cluster, "status", "targetPrimaryTimestamp", default="")))
    except ValueError:
        return None


def instances(cluster: Object) -> tuple[str, ...]:
    """The names of its instances, also of those that do not run."""
    return tuple(at(cluster, "status", "instanceNames", default=[]))


def image(cluster: Object) -> str:
    """The PostgreSQL image the cluster really runs."""
    return str(at(cluster, "status", "image", default="") or at(cluster, "spec", "imageName", default=""))


def major(cluster: Object) -> int:
    """The PostgreSQL major version of its data directory, 0 if it does not say."""
    return int(at(cluster, "status", "pgDataImageInfo", "majorVersion", default=0) or 0)


def fenced(cluster: Object) -> str:
    """The fenced instances as the annotation names them; empty if none is."""
    value = str(at(cluster, "metadata", "annotations", FENCED, default=""))
    return "" if value in ("", "[]") else value


def why_not_backed_up(cluster: Object) -> list[str]:
    """Every reason why a backup taken now could not be made or could not be restored; empty if there is none."""
    found = archive(cluster)
    reasons = []
    if objects.deleting(cluster):
        reasons.append("the cluster is being deleted")
    if at(cluster, "metadata", "annotations", HIBERNATION) == "on":
        reasons.append("the cluster is hibernated: its pods are gone; wake it by removing the annotation cnpg.io/hibernation")
    if fenced(cluster):
        reasons.append(f"instances are fenced ({fenced(cluster)}): PostgreSQL is stopped there; lift it with the annotation {FENCED}")
    if found.method == "none":
        reasons.append("the cluster has neither the Barman Cloud plugin as WAL archiver nor spec.backup; configure one of them")
    if found.method == "volumeSnapshot":
        reasons.append("the cluster is backed up by volume snapshots only; no WAL position of such a backup can be proven here")
    if found.method == "plugin" and not found.object_store:
        reasons.append("the plugin's parameters name no barmanObjectName")
    if not reasons and not primary(cluster):
        reasons.append(
            f"no primary is settled: phase {phase(cluster)!r}, target {at(cluster, 'status', 'targetPrimary')!r}; wait or fail over"
        )
    archiving = objects.condition(cluster, "ContinuousArchiving")
    if archiving is not None and archiving.status == "False":
        reasons.append(f"WAL archiving is failing, so a backup taken now could not be restored: {archiving.message}")
    return reasons


def why_not_restorable_beside(cluster: Object) -> list[str]:
    """Every reason why a proof should wait: it reads the source's configuration, which must be the one the backup was taken under."""
    reasons = []
    if objects.deleting(cluster):
        reasons.append("the source cluster is being deleted")
    if not primary(cluster):
        reasons.append(f"the source is switching over: phase {phase(cluster)!r}")
    return reasons


def phase(cluster: Object) -> str:
    """The operator's phase, in its own words."""
    return str(at(cluster, "status", "phase", default=""))


def facts(cluster: Object) -> dict[str, Any]:
    """What a plan relies on: nothing that moves by itself."""
    found = archive(cluster)
    return {
        "cluster uid": objects.uid(cluster),
        "method": found.method,
        "object store": found.object_store,
        "server name": found.server_name,
        "primary": primary(cluster),
        "image": image(cluster),
    }
