"""Takes the backup, waits until its WAL is really in the store, and fingerprints every row right after it.

Nothing here is torn down: a Backup that was made stays, whatever becomes of the run. A re-executed run adopts the Backup it made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from gsv_ops.database import access, fingerprinting, pod_logs, remembered, source
from gsv_ops.database.backup import stuck
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.barman_store import BarmanStore, configuration_of, open_store
from gsv_ops.database.fingerprinting import Source
from gsv_ops.database.session import Endpoint, connect
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError, WaitTimeout
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import OBJECT_STORE, POD, POSTGRES_BACKUP, POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import Database

NOT_STARTED = ("", "pending")
COMPLETED = "completed"
# walArchivingFailing: the operator waits for the archive before it copies anything, and a backup without its WAL is none.
FAILED = ("failed", "invalid backup definition", "walArchivingFailing")
KNOWN = (*NOT_STARTED, *FAILED, COMPLETED, "started", "running", "finalizing")
MOST_CAUSES = 4
NEEDED = ("backupId", "beginWal", "endWal", "beginLSN", "endLSN", "startedAt", "stoppedAt")


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """The Backup, completed; its WAL in the store; the fingerprint, or why there is none."""
    database = database_of(desk.spec, plan.params)
    # an operator that is restarted answers no webhook for a while, and then the API server takes no Backup
    name = objects.name(access.again(desk, "asking for the Backup", lambda: apply.create(desk, plan.actions[0], journal)))
    desk.log(f"Backup {database.namespace}/{name} by {plan.facts['method']}; the primary is {plan.facts['primary']}")
    backup = completed(desk, database, name)
    status = backup["status"]
    desk.log(f"Backup {name} is completed: id {status['backupId']}, WAL {status['beginWal']} to {status['endWal']}")

    def archived_and_fingerprinted() -> Mapping[str, Any]:
        with source_of(desk, database) as primary:
            remembered.keep(desk, database, primary.cluster)
            seconds = fingerprinting.archive_to_end(primary, status, name)
            taken = fingerprinting.take(primary, backup, journal.root_run_id)
            last = status["endWal"]
            if taken["record"]:
                last, seconds = fingerprinting.archive_past(primary, last, taken)
            size = archiver_status(primary.session).segment_size
        return {"segment_size": size, "last_segment": last, "archive_seconds": seconds, "fingerprint": taken}

    return {
        "backup": {"name": name, "uid": objects.uid(backup), **{key: status[key] for key in NEEDED}},
        "instance": at(status, "instanceID", "podName", default=""),
        **access.again(desk, "waiting for the WAL and reading the rows", archived_and_fingerprinted),
    }


def completed(desk: Desk, database: Database, name: str) -> Object:
    """The Backup once it is completed and says what it covers. Raises OperationFailed with the cause, or at a phase's deadline."""
    started = _wait(desk, database, name, NOT_STARTED, database.backup.start_seconds, "start")
    backup = started
    if _phase(started) != COMPLETED:
        desk.log(f"Backup {name} is {_phase(started)}")
        working = tuple(phase for phase in KNOWN if phase not in (COMPLETED, *FAILED))
        backup = _ended(desk, database, name, working)
    missing = [key for key in NEEDED if not at(backup, "status", key)]
    if missing:
        raise OperationFailed(
            f"Backup {name} is completed but its status has no {', '.join(missing)}: what it covers is unknown", _look(database, name)
        )
    return backup


def store_of(desk: Desk, database: Database, cluster: Object) -> BarmanStore:
    """The object store of the cluster's backups."""
    archive = source.archive(cluster)
    store = desk.kube.get(OBJECT_STORE, archive.object_store, database.namespace) if archive.object_store else None
    return open_store(desk.kube, database.namespace, configuration_of(cluster, store), archive.server_name)


@contextmanager
def endpoint_of(desk: Desk, database: Database, cluster: Object) -> Iterator[Endpoint]:
    """The database on the cluster's primary."""
    pod = source.primary(cluster)
    if not pod:
        raise access.WayBroke(f"Cluster {database.cluster} has no settled primary (phase {source.phase(cluster)!r})")
    with instance_of(desk, database, cluster, pod) as endpoint:
        yield endpoint


@contextmanager
def instance_of(desk: Desk, database: Database, cluster: Object, pod: str) -> Iterator[Endpoint]:
    """The database on one of the cluster's instances."""
    authority = str(at(cluster, "status", "certificates", "serverCASecret", default=f"{database.cluster}-ca"))
    with access.endpoint(desk.kube, database.namespace, pod, database.database, database.login_secret, authority) as endpoint:
        yield endpoint


@contextmanager
def source_of(desk: Desk, database: Database) -> Iterator[Source]:
    """The database's primary and its store, for one operation to read and to archive through."""
    cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
    store = store_of(desk, database, cluster)
    with endpoint_of(desk, database, cluster) as endpoint, access.failures_of("asking the primary"), connect(endpoint) as session:
        yield Source(desk, database, cluster, endpoint, session, store)


class _Overdue(OperationFailed):
    """A phase lasted longer than it was waited for."""


def _ended(desk: Desk, database: Database, name: str, working: tuple[str, ...]) -> Object:
    """The Backup once it is completed. One that will never end is told as soon as that is seen, and not at the deadline."""
    left = database.backup.run_seconds
    while True:
        seconds = min(left, database.backup.start_seconds)
        left -= seconds
        try:
            return _wait(desk, database, name, working, seconds, "complete")
        except _Overdue as problem:
            backup = desk.kube.get(POSTGRES_BACKUP, name, database.namespace)
            if _phase(backup) in working and (why := stuck.why(desk.kube, database.namespace, backup)):
                raise OperationFailed(
                    f"Backup {name} is {_phase(backup)} and will never end: {why}, as happens when the API server or the operator is "
                    f"restarted at that moment. Every later Backup of the cluster waits behind it until it is deleted.",
                    f"kubectl delete backups.postgresql.cnpg.io {name} -n {database.namespace}, then launch a new run",
                ) from None
            if not left:
                raise OperationFailed(
                    f"{problem}\n(it was waited for {database.backup.run_seconds} s in all)", problem.next_command
                ) from None


def _wait(desk: Desk, database: Database, name: str, while_in: tuple[str, ...], seconds: float, what: str) -> Object:
    told: list[str] = []

    def settled(backup: Object | None) -> Object | None:
        if backup is None:
            raise OperationFailed(f"Backup {database.namespace}/{name} was deleted while it was being taken")
        phase = _phase(backup)
        if phase not in KNOWN and phase not in told:
            told.append(phase)
            desk.log(f"Backup {name} is in phase {phase!r}, which is not known here; it is not taken as good")
        if phase in FAILED:
            raise OperationFailed(_cause(desk, database, backup), _look(database, name))
        return None if phase in while_in or phase not in KNOWN else backup

    try:
        return desk.kube.wait(
            POSTGRES_BACKUP, name, database.namespace, settled, timeout=seconds, what=f"Backup {database.namespace}/{name} to {what}"
        )
    except WaitTimeout as problem:
        raise _Overdue(str(problem), _look(database, name)) from None


def _cause(desk: Desk, database: Database, backup: Object) -> str:
    said = at(backup, "status", "error", default="no reason") or "no reason"
    pod_name = at(backup, "status", "instanceID", "podName", default="")
    found: list[str] = []
    if pod_name:
        try:
            pod = desk.kube.get(POD, pod_name, database.namespace)
        except KubeError as problem:
            found = [f"the log of {pod_name} could not be read: {problem}"]
        else:
            since = objects.created(backup)
            found = [c for log in pod_logs.read(desk.kube, database.namespace, pod).values() for c in pod_logs.complaints(log, since)]
    because = f" The log of {pod_name}: {' | '.join(pod_logs.telling(found, MOST_CAUSES))}" if found else ""
    return f"Backup {objects.name(backup)} is {_phase(backup)}: {said}.{because}"


def _phase(backup: Object) -> str:
    return str(at(backup, "status", "phase", default="") or "")


def _look(database: Database, name: str) -> str:
    return f"kubectl describe backups.postgresql.cnpg.io {name} -n {database.namespace}"
