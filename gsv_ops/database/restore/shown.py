"""What an operator reads before a restore: the window, the WAL to replay and the time it may take, the manifest, what will be different."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gsv_ops.database import manifest, recoveries, source
from gsv_ops.database.barman_store import configuration_of
from gsv_ops.database.goal import shown
from gsv_ops.database.lsn import format_lsn
from gsv_ops.database.restore.observe import RestoreSnapshot
from gsv_ops.database.window import Judged
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.operations import manifests
from gsv_ops.platform.spec import Database

SERVICES = ("rw", "ro", "r")


def window(snapshot: RestoreSnapshot, judged: Judged, now: datetime) -> dict[str, Any]:
    """What can be restored at all, by whose word, and what this restore would read."""
    told: dict[str, Any] = {}
    if judged.warned:
        told["WARN"] = "; ".join(judged.warned)
    if snapshot.remembered:
        told["the source is gone"] = f"its manifest is the one of {snapshot.remembered}, when it was last backed up"
    told["what can be restored"] = _window_rows(snapshot)
    if snapshot.window.bases:
        told["base backups in the store"] = [
            {
                "id": base.backup_id,
                "began": shown(base.began) if base.began else "-",
                "ended": shown(base.ended) if base.ended else "-",
                "WAL": f"{base.begin_wal} to {base.end_wal}",
                "timeline": base.timeline,
                "bytes": base.bytes,
                "used": _used(snapshot, judged, base.backup_id),
            }
            for base in reversed(snapshot.window.bases)
        ]
    if judged.base is not None and judged.segments:
        told |= {
            "WAL segments to replay": judged.segments,
            "bytes of WAL to replay": judged.segments * snapshot.window.segment_size,
            "bytes to fetch": judged.base.bytes + judged.bytes,
            "WAL to replay": f"{judged.first} to {judged.last}",
        }
        sizes = {base.backup_id: base.bytes for base in snapshot.window.bases}
        wal_bytes = judged.segments * snapshot.window.segment_size
        expected = recoveries.estimate(snapshot.earlier, sizes, judged.base.backup_id, wal_bytes)
        told["time until the primary serves"] = expected.words if expected else recoveries.NO_ESTIMATE
        if expected:
            told["seconds until the primary serves, estimated"] = expected.seconds
    return told


def manifest_and_difference(snapshot: RestoreSnapshot, body: Object, database: Database) -> dict[str, Any]:
    """The manifest as it will be made, what it has other than the source, and what that means to who uses it."""
    return {
        "different afterwards": _different(snapshot, body, database),
        "difference from the source": manifest.difference(snapshot.cluster["spec"], body["spec"]),
        "manifest": f"```yaml\n{manifests.dump(body)}```",
    }


def _window_rows(snapshot: RestoreSnapshot) -> list[dict[str, str]]:
    found, archive = snapshot.window, source.archive(snapshot.cluster)
    rows: list[tuple[str, str, str]] = [("method", archive.method, f"server {archive.server_name}")]
    status = at(snapshot.object_store, "status", "serverRecoveryWindow", archive.server_name)
    if archive.method == "plugin":
        first = at(status, "firstRecoverabilityPoint", default="it does not say")
        rows.append(("first moment", str(first), f"ObjectStore {archive.object_store}"))
    elif archive.method == "barmanObjectStore":
        by_method = at(snapshot.cluster, "status", "firstRecoverabilityPointByMethod", archive.method)
        rows.append(("first moment", str(by_method or at(snapshot.cluster, "status", "firstRecoverabilityPoint", default="-")), "Cluster"))
    usable = found.usable
    if usable and usable[0].ended:
        rows.append(("first moment", shown(usable[0].ended), "the store's first base backup on this timeline"))
    if found.unlisted:
        rows.append(("in the store", "not known", found.unlisted))
        return _rows(rows)
    rows.append(("timeline", str(found.timeline), "the store" if found.history is not None else "the store; its history cannot be read"))
    if last := found.last:
        rows.append(("last archived WAL", last.name, f"the store, since {shown(last.at)}"))
    if found.last_commit:
        where = f"pg_waldump on the primary, at {format_lsn(found.last_commit.lsn)}"
        rows.append(("last archived commit", shown(found.last_commit.at), where))
    elif found.proven_to:
        rows.append(("last archived commit", f"after {shown(found.proven_to)}", "the newest fingerprint whose WAL was seen in the store"))
    else:
        rows.append(("last archived commit", "not known", "no primary that can be asked, no archived fingerprint"))
    return _rows(rows)


def _rows(rows: list[tuple[str, str, str]]) -> list[dict[str, str]]:
    return [{"what": what, "value": value, "by whose word": whose} for what, value, whose in rows]


def _used(snapshot: RestoreSnapshot, judged: Judged, backup_id: str) -> str:
    if judged.base is not None and judged.base.backup_id == backup_id:
        return f"yes: {judged.why}" if judged.why else "no: see the refusals"
    on = {base.backup_id for base in snapshot.window.usable}
    return "no" if backup_id in on else f"no: timeline {snapshot.window.timeline} does not go on from it"


def _different(snapshot: RestoreSnapshot, body: Object, database: Database) -> list[dict[str, str]]:
    was, name = database.cluster, body["metadata"]["name"]
    path = str(configuration_of(snapshot.cluster, snapshot.object_store).get("destinationPath", "")).rstrip("/")
    old, new = source.archive(snapshot.cluster), source.archive(body)
    secret = at(body, "spec", "bootstrap", "recovery", "secret", "name")
    rows = [(f"Service {kind}", f"{was}-{kind}", f"{name}-{kind}") for kind in SERVICES]
    rows += [
        ("archive", f"{path}/{old.server_name}", f"{path}/{new.server_name}"),
        ("application's Secret", secret or f"{was}-app", f"{secret}: the same" if secret else f"{name}-app: a new password"),
        ("authority of its certificates", f"{was}-ca", f"{name}-ca: clients that check it need the new one"),
        ("workloads", f"use {was}", f"still use {was}: nothing is cut over"),
        ("ScheduledBackups", f"name {was}", "none names it: only its first backup is made"),
        ("GitOps", "its manifest may be in Git", "not in Git: commit the manifest below to keep it"),
    ]
    rows += [(field, "taken", f"not taken: {why}") for field, why in manifest.NOT_SHARED.items() if field != "bootstrap"
             and snapshot.cluster["spec"].get(field)]  # fmt: skip
    if services := at(snapshot.cluster, "spec", "managed", "services"):
        rows.append(("managed services", str(len(at(services, "additional", default=[]))), "not taken: their names are the source's"))
    return [{"what": what, "source": before, "restored": after} for what, before, after in rows]
