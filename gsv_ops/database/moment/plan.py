"""What proving a moment would be: which one, chosen by a seed, from which base backup, into what; and why it must not be tried now."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from pydantic import Field, field_validator

from gsv_ops.database import heartbeats_asked, heartbeats_kept, manifest, recoverability, room, source
from gsv_ops.database.backup.plan import database_of, known_database
from gsv_ops.database.barman_store import configuration_of
from gsv_ops.database.goal import Goal, shown
from gsv_ops.database.proof import scratch
from gsv_ops.database.seen import seen
from gsv_ops.database.window import Window, judge
from gsv_ops.kube import objects, resources
from gsv_ops.kube.objects import parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Desk, Params, PlanFrame
from gsv_ops.operations.plan import RUN_NAME, Action, Kept, Plan, Refused, Target
from gsv_ops.platform.spec import Database, PlatformSpec

LARGEST_SEED = 2**31 - 1
GRAIN = timedelta(milliseconds=1)


class ProvePointInTime(Params):
    """What an operator may choose of a proof of a moment."""

    database: str = Field(default="cmp_postgres", description="Which database of platform.yaml.")
    seed: int = Field(default=0, ge=0, le=LARGEST_SEED, description="Chooses the moment within what can be restored. 0: from the run's id.")
    moment: str = Field(
        default="",
        description="This moment instead, RFC 3339 with Z or +hh:mm: to repeat a proof, which shows its moment. Empty: by the seed.",
    )

    @field_validator("database")
    @classmethod
    def _known(cls, value: str) -> str:
        return known_database(value)

    @field_validator("moment")
    @classmethod
    def _zoned(cls, value: str) -> str:
        if value:
            parse_time(value)
        return value


@dataclass(frozen=True)
class MomentSnapshot:
    """What was seen. `seed` is the one that counts; `first`: from when on heartbeats tell of a moment, None where they do not."""

    cluster: Object
    object_store: Object | None
    window: Window
    seed: int
    first: datetime | None
    claims: tuple[Object, ...]
    quotas: tuple[Object, ...]
    api_servers: tuple[tuple[str, int], ...]


def observe(desk: Desk, params: ProvePointInTime) -> MomentSnapshot:
    """Read the source, its archive and its heartbeats. Raises NotFound, Forbidden, StoreUnreadable, OperationFailed."""
    database = database_of(desk.spec, params.model_dump())
    kube, namespace = desk.kube, database.namespace
    cluster, store, backups = seen(kube, database)
    archive = source.archive(cluster)
    return MomentSnapshot(
        cluster,
        store,
        recoverability.look(desk, database, cluster, store, backups) if archive.usable else Window((), 1),
        params.seed or seed_of(desk.run_id),
        heartbeats_asked.asked(desk, database, heartbeats_kept.tells_from) if source.primary(cluster) else None,
        tuple(kube.list(resources.PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{source.CLUSTER_LABEL}={database.cluster}")),
        tuple(kube.list(resources.RESOURCE_QUOTA, namespace)),
        scratch.api_servers(desk),
    )


def plan(spec: PlatformSpec, snapshot: MomentSnapshot, params: ProvePointInTime, frame: PlanFrame, now: datetime) -> Plan:
    """A scratch cluster behind a NetworkPolicy, both taken down again; the source is only read.

    The plan's parameters hold the seed and the moment that it came to, so that it is applied, and repeated, with just these.
    """
    database = database_of(spec, params.model_dump())
    cluster, archive = snapshot.cluster, source.archive(snapshot.cluster)
    here = Target(cluster["apiVersion"], cluster["kind"], objects.name(cluster), database.namespace, objects.uid(cluster))
    sizes = manifest.real_sizes(cluster, snapshot.claims)
    reasons = source.why_not_restorable_beside(cluster)
    if not archive.usable:
        reasons.append(f"its backups are made by {archive.method}; no moment of one can be proven here")
    moment, why = choose(snapshot, params)
    if moment is None:
        return frame.plan(refused=tuple(Refused(here, reason) for reason in [*reasons, why]), facts=_facts(cluster))
    frame = replace(frame, params={**frame.params, "seed": snapshot.seed, "moment": moment.isoformat()})
    judged = judge(snapshot.window, Goal("time", time=moment), now)
    reasons += [*judged.refused, *judged.warned]
    wanted = room.volumes(cluster, sizes)
    data = judged.base.data_bytes if judged.base else 0
    margin, hint = database.proof.storage_margin_percent, "grow the source's storage"
    reasons += room.why_none(wanted, data, margin, snapshot.quotas, "the scratch volume", hint) if wanted else [room.UNKNOWN_SIZE]
    if judged.base is None or reasons:
        return frame.plan(refused=tuple(Refused(here, reason) for reason in reasons), facts=_facts(cluster))
    name = f"{database.cluster}-moment-{RUN_NAME}"
    target = Goal("time", time=moment).recovery_target(judged.base.backup_id, snapshot.window.timeline)
    body = manifest.drill(name, cluster, archive, target, sizes)
    store_url = configuration_of(cluster, snapshot.object_store).get("endpointURL")
    policy = scratch.network_policy(name, database.operator_namespace, snapshot.api_servers, store_url)
    words = f"restore base backup {judged.base.backup_id} and replay its WAL to {shown(moment)}, one instance, archiving nothing"
    return frame.plan(
        actions=(
            Action("create", _named(policy, database), "only the operator may reach the scratch cluster", body=policy),
            Action("create", _named(body, database), words, body=body),
        ),
        kept=(Kept(here, "it is only read"),),
        facts={
            **_facts(cluster),
            "base backup": judged.base.backup_id,
            "begin LSN": judged.base.begin_lsn,
            "timeline": snapshot.window.timeline,
            "base backup's timeline": judged.base.timeline,
        },
        seen=1,
        shown={
            "moment": shown(moment),
            "seed": snapshot.seed,
            "chosen between": " and ".join(shown(end) for end in ends(snapshot) or ()),
            "WAL segments to replay": judged.segments,
        },
    )


def choose(snapshot: MomentSnapshot, params: ProvePointInTime) -> tuple[datetime | None, str]:
    """The moment: the one that was named, else one within the window by the seed; or why there is none."""
    if params.moment:
        return parse_time(params.moment).astimezone(UTC), ""
    found = ends(snapshot)
    if found is None:
        return None, (
            "there is no stretch of time that a base backup, archived commits and heartbeats all cover: take a backup, and wait for "
            "the next archived WAL"
        )
    first, last = found
    chosen = first + (last - first) * Random(snapshot.seed).random()  # noqa: S311  nothing secret is chosen
    return max(first, chosen - timedelta(microseconds=chosen.microsecond % 1000)), ""


def ends(snapshot: MomentSnapshot) -> tuple[datetime, datetime] | None:
    """From when to when a moment can be proven; None where it cannot."""
    usable, last = snapshot.window.usable, snapshot.window.last_commit
    if not usable or usable[0].ended is None or snapshot.first is None or last is None:
        return None
    first = max(usable[0].ended, snapshot.first)
    return (first, last.at - GRAIN) if first < last.at - GRAIN else None


def seed_of(run_id: str) -> int:
    """A seed that is a run's own."""
    return int(hashlib.sha256(run_id.encode()).hexdigest()[:8], 16) % LARGEST_SEED + 1


def _facts(cluster: Object) -> dict[str, Any]:
    return {key: value for key, value in source.facts(cluster).items() if key != "primary"}


def _named(body: Object, database: Database) -> Target:
    return Target(body["apiVersion"], body["kind"], body["metadata"]["name"], database.namespace)
