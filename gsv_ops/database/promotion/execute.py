"""Promotes the replica as CloudNativePG's own plugin does, under a probe that commits all the time, and waits until the rest follows.

The operator does the work and goes on with it whatever becomes of the run: what is given up here is the waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gsv_ops.database import observe as room
from gsv_ops.database import replication, source
from gsv_ops.database.backup.execute import endpoint_of
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.promotion import record
from gsv_ops.database.promotion.front_door import Probe
from gsv_ops.database.session import DatabaseError, connect
from gsv_ops.kube import health, objects
from gsv_ops.kube.errors import KubeError, WaitTimeout
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.apply import ClusterMovedOn
from gsv_ops.operations.freeze import require_not_frozen
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan
from gsv_ops.platform.spec import Database

POLL_SECONDS = 0.1
BEFORE_COMMITS = 5
BEFORE_SECONDS = 20.0
NOT_READY = {"type": "Ready", "status": "False", "reason": "ClusterIsNotReady", "message": "Cluster Is Not Ready"}


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """What was seen on the way: times, the write outage, and every commit of the probe that was acknowledged."""
    database = database_of(desk.spec, plan.params)
    to, former = str(plan.facts["instance"]), str(plan.facts["primary"])
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    adopted = "asked_at" in journal.notes
    if adopted:
        _still_asked_for(database, cluster, to, str(journal.notes["asked_at"]))
    probe = Probe(desk, database, cluster)
    probe.start()
    try:
        if not adopted:
            wait_written(desk, probe, 0, BEFORE_COMMITS, BEFORE_SECONDS, f"{former} is the primary, and nothing was changed")
            require_not_frozen(desk, plan.operation)
            _ask(desk, database, plan.actions[0], journal, record.Promotion(former, to, desk.now(), journal.root_run_id))
        begun, before = desk.monotonic(), len(probe.acknowledged)
        desk.log(f"{to} is to become the primary of {database.cluster}; the operator stops {former} first")
        seconds = float(database.promotion.switch_seconds)
        wait_promoted(desk, database, to, seconds)
        promoted = desk.monotonic() - begun
        desk.log(f"{to} is the primary, {promoted:.1f} s after {'this run went on' if adopted else 'it was asked for'}")
        moved = len(probe.acknowledged)
        wait_written(desk, probe, moved, BEFORE_COMMITS, seconds - promoted, f"{to} is the primary")
        _followed(desk, database, to, former)
    finally:
        probe.stop()
    return {
        "instance": to,
        "former": former,
        # a re-executed run did not see the beginning, so what it measured is neither
        "promoted_seconds": None if adopted else promoted,
        "outage_seconds": None if adopted else probe.outage(),
        "acknowledged": [moment.isoformat() for _, moment in probe.acknowledged],
        "acknowledged_before": before,
        "refused": len(probe.problems),
    }


def _ask(desk: Desk, database: Database, action: Action, journal: Journal, promotion: record.Promotion) -> None:
    """Patch the status; on record before that, so that the watch never takes this promotion for somebody else's."""
    to, asked_at = promotion.instance, promotion.asked_at
    earlier = room.seen(lambda: record.newest(desk.records, database, desk.cluster_identity))
    record.write(desk.records, database, desk.cluster_identity, promotion)
    journal.note(asked_at=asked_at.isoformat())
    try:
        apply.patch(desk, action, journal, subresource="status", body=lambda found: status_patch(found, to, asked_at))
    except ClusterMovedOn:
        # where the answer was lost, the patch that was sent again meets what the operator has made of the first one since
        found = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
        if at(found, "status", "targetPrimary") == to and source.targeted_at(found) == asked_at:
            journal.outcome("patch", action.target, "done", "the answer to it was lost")
            return
        if isinstance(earlier, record.Promotion):  # what led to the primary of now is still that
            record.write(desk.records, database, desk.cluster_identity, earlier)
        raise


def _still_asked_for(database: Database, cluster: Object, to: str, asked_at: str) -> None:
    """Raises OperationFailed where the target is another: to ask again would promote by a look that is old, perhaps a second time."""
    target = str(at(cluster, "status", "targetPrimary", default=""))
    if target != to:
        raise OperationFailed(
            f"this run asked for {to} at {asked_at}, and the target is {target or 'none'} now: that was not done, or somebody went back "
            f"since. It is not asked for again, since what was looked at before it is old; plan anew. {_now(cluster)}",
            _look(database),
        )


def status_patch(found: Object, to: str, now: datetime) -> dict[str, Any]:
    """The patch of the status, as internal/cmd/plugin/promote of CloudNativePG 1.30 makes it: the target, the phase, and not Ready.

    A merge patch replaces the whole list of conditions, so the others go along.
    """
    stamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    old = objects.condition(found, "Ready")
    changed = {**NOT_READY, "lastTransitionTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if old is not None and old.status == "False" and old.since is not None:
        changed["lastTransitionTime"] = f"{old.since:%Y-%m-%dT%H:%M:%SZ}"
    others = [entry for entry in at(found, "status", "conditions", default=[]) if entry.get("type") != "Ready"]
    return {
        "status": {
            "targetPrimary": to,
            "targetPrimaryTimestamp": stamp,
            "phase": "Switchover in progress",
            "phaseReason": f"Switching over to {to}",
            "conditions": [*others, changed],
        }
    }


def wait_promoted(desk: Desk, database: Database, to: str, seconds: float) -> None:
    """Wait until the operator says that it is the primary. OperationFailed says which instance is, if it does not come to it."""

    def until(body: Object | None) -> bool | None:
        if body is None:
            raise OperationFailed(f"Cluster {database.cluster} was deleted during the promotion")
        target = str(at(body, "status", "targetPrimary", default=""))
        if target != to:
            raise OperationFailed(
                f"the target is {target or 'none'} and no longer {to}: the operator, or somebody, chose another. {_now(body)}",
                _look(database),
            )
        return True if at(body, "status", "currentPrimary") == to else None

    try:
        _wait(desk, database, until, seconds, f"{to} to be the primary")
    except WaitTimeout as problem:
        now = _read(desk, database)
        raise OperationFailed(
            f"{to} is not the primary within {seconds:.0f} s. {now} The operator goes on with it by itself, and waits up to an hour for "
            f"the old primary to stop; nothing is undone here. {problem}",
            _look(database),
        ) from None


def _followed(desk: Desk, database: Database, to: str, former: str) -> None:
    """Wait until the cluster is whole again and the former primary streams from the new one."""
    seconds = float(database.promotion.rejoin_seconds)
    deadline = desk.monotonic() + seconds
    told = f"{to} is the primary and takes writes, but {former} does not stream from it within {seconds:.0f} s"

    def until(body: Object | None) -> Object | None:
        return body if body is not None and health.of(body).healthy else None

    try:
        cluster = _wait(desk, database, until, seconds, f"{database.cluster} to be whole again")
    except WaitTimeout as problem:
        raise OperationFailed(f"{told}. {problem}", _look(database)) from None
    why = "it is not among its standbys"
    while desk.monotonic() < deadline:
        try:
            with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
                standby = replication.primary(session).standbys.get(former)
            if standby is not None and standby.state == replication.STREAMING:
                desk.log(f"{former} streams from {to}")
                return
            why = f"it is {standby.state}" if standby else why
        except (DatabaseError, KubeError, OperationFailed) as problem:
            why = str(problem)
        desk.sleep(1.0)
    raise OperationFailed(f"{told}: {why}", _look(database))


def wait_written(desk: Desk, probe: Probe, since: int, commits: int, seconds: float, told: str) -> None:
    """Wait until the probe has so many commits more."""
    deadline = desk.monotonic() + max(seconds, 5.0)
    while len(probe.acknowledged) < since + commits:
        if desk.monotonic() > deadline:
            why = probe.problems[-1] if probe.problems else "no answer"
            raise OperationFailed(f"{told}, but writes through the read-write Service do not go on: {why}", _look(probe.database))
        desk.sleep(POLL_SECONDS)


def _wait(desk: Desk, database: Database, until: Callable[[Object | None], Any], seconds: float, what: str) -> Any:
    return desk.kube.wait(POSTGRES_CLUSTER, database.cluster, database.namespace, until, timeout=seconds, what=what)


def _read(desk: Desk, database: Database) -> str:
    try:
        return _now(desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace))
    except KubeError as problem:
        return f"Which instance is the primary now is not known: {problem}."


def _now(body: Object) -> str:
    why = at(body, "status", "phaseReason", default="")
    return f"The primary now is {at(body, 'status', 'currentPrimary')}, the phase {source.phase(body)!r}{f' ({why})' if why else ''}."


def _look(database: Database) -> str:
    return f"kubectl cnpg status {database.cluster} -n {database.namespace}"
