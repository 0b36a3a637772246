"""Whether a Backup that the operator says is started will never end, by the log of the instance that should take it.

CloudNativePG 1.30 asks the instance once, and the instance writes the end once: when the API server is away at that moment, the Backup
stays `started` for ever, and every later Backup of the cluster waits behind it.
"""

from __future__ import annotations

from gsv_ops.database import pod_logs
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Kube, Object
from gsv_ops.kube.resources import POD

MANAGER = "postgres"
ENDED = ("Backup completed", "Backup failed", "Can't set backup status as completed")


def why(kube: Kube, namespace: str, backup: Object) -> str:
    """Why it will never end, from the log of its instance; empty if it may be going on, and where that cannot be told."""
    name, pod_name = objects.name(backup), at(backup, "status", "instanceID", "podName", default="")
    if at(backup, "spec", "method") != "plugin" or not pod_name:
        return ""
    try:
        kube.get(POD, pod_name, namespace)
        log = kube.logs(namespace, pod_name, MANAGER, tail=pod_logs.MOST_LINES)
    except KubeError:
        return ""
    made = objects.created(backup)
    every = [line for line in pod_logs.lines(log) if line.at is not None]
    of_it = [line for line in every if line.fields.get("backupName") == name]
    if any(line.text.startswith(ENDED) for line in of_it):
        return f"{pod_name} says that it has ended, and never told the API server so"
    # a log that begins after it was made may have lost what was said of it
    if not of_it and any(line.at < made for line in every if line.at):
        return f"{pod_name} never began it"
    return ""
