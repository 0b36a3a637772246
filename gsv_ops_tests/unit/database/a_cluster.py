"""A healthy cmp-postgres as the API server shows it, its ObjectStore and its Backups: the ground of this room's pure tests."""

from copy import deepcopy
from typing import Any

from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import PlanFrame
from gsv_ops.platform import spec

FRAME = PlanFrame("an_operation", "dev", "c-1", {"database": "cmp_postgres"})
DATABASE = spec.load(None).databases["cmp_postgres"]

CLUSTER: Object = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "metadata": {"name": "cmp-postgres", "namespace": "cmp", "uid": "u-cluster", "annotations": {"note": "kept"}},
    "spec": {
        "instances": 2,
        "imageName": "localhost/postgresql:15.20",
        "bootstrap": {"initdb": {"database": "agent_registry", "owner": "registry_owner", "encoding": "UTF8"}},
        "plugins": [
            {"name": "metrics.example.com", "enabled": True},
            {
                "name": "barman-cloud.cloudnative-pg.io",
                "enabled": True,
                "isWALArchiver": True,
                "parameters": {"barmanObjectName": "store", "serverName": "cmp-postgres-7"},
            },
        ],
        "postgresql": {
            "parameters": {"archive_mode": "on", "max_connections": "60", "wal_level": "logical"},
            "pg_hba": ["host all all all md5"],
            "syncReplicaElectionConstraint": {"enabled": False},
        },
        "affinity": {"podAntiAffinityType": "preferred", "nodeSelector": {"disk": "ssd"}},
        "managed": {"roles": [{"name": "gsv_ops", "passwordSecret": {"name": "cmp-postgres-gsv-ops"}}]},
        "superuserSecret": {"name": "cmp-postgres-superuser"},
        "replicationSlots": {"highAvailability": {"enabled": True}},
        "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
        "postgresUID": 26,
        "postgresGID": 26,
        "storage": {"size": "1Gi", "storageClass": "local-path", "resizeInUseVolumes": True},
    },
    "status": {
        "phase": "Cluster in healthy state",
        "currentPrimary": "cmp-postgres-1",
        "targetPrimary": "cmp-postgres-1",
        "image": "localhost/postgresql:15.20",
        "pgDataImageInfo": {"majorVersion": 15},
        "conditions": [
            {"type": "Ready", "status": "True"},
            {"type": "ContinuousArchiving", "status": "True", "reason": "ContinuousArchivingSuccess"},
        ],
    },
}

OBJECT_STORE: Object = {
    "apiVersion": "barmancloud.cnpg.io/v1",
    "kind": "ObjectStore",
    "metadata": {"name": "store", "namespace": "cmp", "uid": "u-store"},
    "spec": {
        "configuration": {
            "destinationPath": "s3://backups/",
            "endpointURL": "http://10.88.0.1:9300",
            "s3Credentials": {
                "accessKeyId": {"name": "s3-creds", "key": "ACCESS_KEY_ID"},
                "secretAccessKey": {"name": "s3-creds", "key": "ACCESS_SECRET_KEY"},
            },
        }
    },
}


def cluster(**changes: Any) -> Object:
    """The cluster with other values at paths: `spec__plugins=[]`; None removes what stands there."""
    return changed(CLUSTER, changes)


def changed(body: Object, changes: dict[str, Any]) -> Object:
    body = deepcopy(body)
    for path, value in changes.items():
        place = body
        *steps, last = path.split("__")
        for step in steps:
            place = place.setdefault(step, {})
        if value is None:
            place.pop(last, None)
        else:
            place[last] = value
    return body


def backup(name: str, stopped: str = "2026-11-23T14:03:44Z", **changes: Any) -> Object:
    """A completed Backup."""
    body: Object = {
        "apiVersion": "postgresql.cnpg.io/v1",
        "kind": "Backup",
        "metadata": {"name": name, "namespace": "cmp", "uid": f"u-{name}"},
        "spec": {"cluster": {"name": "cmp-postgres"}, "method": "plugin"},
        "status": {
            "phase": "completed",
            "backupId": f"id-{name}",
            "beginWal": "000000010000000000000003",
            "endWal": "000000010000000000000004",
            "beginLSN": "0/3000028",
            "endLSN": "0/402E3D0",
            "startedAt": "2026-11-23T14:03:42Z",
            "stoppedAt": stopped,
        },
    }
    return changed(body, changes)
