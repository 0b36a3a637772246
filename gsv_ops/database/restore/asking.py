"""Asks the restored cluster whether it is what was wanted: a question each, with yes, no, or unknown, which is never taken for yes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from gsv_ops.database import access, ended, fingerprinting, heartbeats_asked
from gsv_ops.database.backup.execute import completed, endpoint_of, source_of
from gsv_ops.database.barman_store import BarmanStore
from gsv_ops.database.conditions import DONE
from gsv_ops.database.heartbeats_kept import End
from gsv_ops.database.lsn import format_lsn
from gsv_ops.database.manifest import bootstrap
from gsv_ops.database.session import Connection, DatabaseError, connect, meaning
from gsv_ops.database.wal import archiver_status
from gsv_ops.kube import objects
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import ENDPOINT_SLICE, POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action
from gsv_ops.platform.spec import Database

T = TypeVar("T")

HEARTBEATS = "heartbeats_end_at_the_goal"
ENDED = "ended at in bytes"
"""The number beside an answer: the position where the recovery ended."""

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Answer:
    """What was asked (as a good condition), whether it holds, what was found, and numbers beside it."""

    question: str
    answer: Literal["yes", "no", "unknown"]
    found: str
    facts: Mapping[str, int | float | str] = field(default_factory=dict)


def application(desk: Desk, restored: Database, cluster: Object) -> list[Answer]:
    """Whether the application's own role gets in through the read-write Service, by its Secret."""
    owner = bootstrap(cluster["spec"])
    secret = at(owner, "secret", "name", default=f"{restored.cluster}-app")
    service = f"{restored.cluster}-rw"

    def login() -> str:
        pod = _behind(desk, restored.namespace, service)
        authority = _authority(restored, cluster)
        where = access.endpoint(desk.kube, restored.namespace, pod, str(owner["database"]), secret, authority)
        with where as endpoint, connect(endpoint) as session, meaning("asking who we are"):
            row = session.execute("select current_user, pg_is_in_recovery()").fetchone()
        if row is None or row[1]:
            raise OperationFailed(f"{pod} behind Service {service} is in recovery, so nothing can be written there")
        return f"{row[0]} logged in to {owner['database']} on {pod} behind Service {service}, by Secret {secret}"

    return [_asked("application_role_logs_in", lambda: Answer("", "yes", _patiently(desk, restored, login)))]


def state(desk: Desk, restored: Database, cluster: Object, facts: Mapping[str, Any]) -> list[Answer]:
    """Whether it is the same database, recovered along the timeline that was wanted; and where the recovery ended."""

    def identified(session: Connection) -> Answer:
        with meaning("asking the system identifier"):
            row = session.execute("select system_identifier::text from pg_control_system()").fetchone()
        found, wanted = str(row[0]) if row else "nothing", facts["system identifier"]
        if not wanted:
            return Answer("", "unknown", f"it is {found}; the base backup's description does not say what it should be")
        return Answer("", "yes" if found == wanted else "no", f"it is {found}, the base backup's is {wanted}")

    def followed(session: Connection) -> Answer:
        timeline, wanted = archiver_status(session).timeline, int(facts["timeline"])
        before = ended.history(desk.kube, restored.namespace, str(at(cluster, "status", "currentPrimary")), timeline)
        if not before:
            return Answer("", "unknown", f"it is on timeline {timeline}, and the history of that cannot be read")
        left = before[-1]
        words = f"it left timeline {left.timeline} at {format_lsn(left.lsn)} ({left.why or 'no reason given'}) for timeline {timeline}"
        right = left.timeline == wanted
        found = words if right else f"{words}; expected it to follow timeline {wanted} to its goal: commits may be missing"
        return Answer("", "yes" if right else "no", found, {"restored timeline": timeline, ENDED: left.lsn})

    return [
        _asked("system_identifier_is_the_sources", lambda: _in_session(desk, restored, identified)),
        _asked("timeline_was_followed", lambda: _in_session(desk, restored, followed)),
    ]


def heartbeats(desk: Desk, source: Database, restored: Database, end: End, timeline: int) -> list[Answer]:
    """Whether the heartbeats of before the end are there, and none of after it. Nothing is asked where there is no heartbeat."""
    if source.heartbeat is None:
        return []

    def kept() -> Answer:
        found = heartbeats_asked.compared(desk, source, restored, end, timeline)
        return Answer("", found.answer, found.found, {"heartbeats before the end": found.before})

    return [_asked(HEARTBEATS, kept)]


def replicas(desk: Desk, restored: Database, instances: int) -> Answer:
    """Whether every replica streams from the primary."""
    question = "replicas_stream"
    if instances == 1:
        return Answer(question, "yes", "there is one instance, and so no replica", {"streaming": 0})

    def streaming() -> Answer:
        def count(session: Connection) -> int:
            with meaning("asking which replicas stream", "membership of pg_monitor"):
                row = session.execute("select count(*) from pg_stat_replication where state = 'streaming'").fetchone()
            return int(row[0]) if row else 0

        deadline = desk.monotonic() + restored.restore.login_seconds
        while (found := _in_session(desk, restored, count)) < instances - 1 and desk.monotonic() < deadline:
            desk.sleep(POLL_SECONDS)
        return Answer("", "yes" if found >= instances - 1 else "no", f"{found} of {instances - 1} stream", {"streaming": found})

    return _asked(question, streaming)


def first_backup(desk: Desk, restored: Database, action: Action, journal: Journal) -> Answer:
    """Whether its first backup is completed, with its WAL, in an archive of its own."""

    def taken() -> Answer:
        name = objects.name(apply.create(desk, action, journal))
        backup = completed(desk, restored, name)
        status = backup["status"]
        with source_of(desk, restored) as serving:
            seconds = fingerprinting.archive_to_end(serving, status, name)
            base = _base(serving.store, status["backupId"])
            where = f"s3://{serving.store.bucket}/{serving.store.prefix}"
        if base != DONE:
            return Answer("", "no", f"Backup {name} is completed, and in {where} it is {base}")
        return Answer("", "yes", f"Backup {name} is completed, and its WAL is in {where}", {"seconds until archived": round(seconds, 1)})

    return _asked("first_backup_is_in_its_own_archive", taken)


def _base(store: BarmanStore, backup_id: str) -> str:
    return next((base.status for base in store.base_backups() if base.backup_id == backup_id), "not there")


def _asked(question: str, ask: Callable[[], Answer]) -> Answer:
    try:
        answer = ask()
    except (KubeError, OperationFailed, DatabaseError) as problem:
        return Answer(question, "unknown", str(problem))
    return Answer(question, answer.answer, answer.found, answer.facts)


def _in_session(desk: Desk, restored: Database, ask: Callable[[Connection], T]) -> T:
    """What the desk's own role is told on the primary as it is now."""

    def look() -> T:
        cluster = desk.kube.get(POSTGRES_CLUSTER, restored.cluster, restored.namespace)
        with endpoint_of(desk, restored, cluster) as endpoint, connect(endpoint) as session:
            return ask(session)

    return access.again(desk, "asking the restored database", look)


def _patiently(desk: Desk, restored: Database, login: Callable[[], str]) -> str:
    """The login, tried until its time is up: the operator sets the role's password a moment after the primary serves."""
    deadline = desk.monotonic() + restored.restore.login_seconds
    while True:
        try:
            return login()
        except (KubeError, OperationFailed, DatabaseError):
            if desk.monotonic() > deadline:
                raise
        desk.sleep(POLL_SECONDS)


def _behind(desk: Desk, namespace: str, service: str) -> str:
    """The pod to which the Service leads."""
    for piece in desk.kube.list(ENDPOINT_SLICE, namespace, labels=f"kubernetes.io/service-name={service}"):
        for endpoint in piece.get("endpoints") or []:
            if at(endpoint, "conditions", "ready") and at(endpoint, "targetRef", "kind") == "Pod":
                return str(endpoint["targetRef"]["name"])
    raise OperationFailed(f"Service {namespace}/{service} leads to no pod that is ready")


def _authority(restored: Database, cluster: Object) -> str:
    return str(at(cluster, "status", "certificates", "serverCASecret", default=f"{restored.cluster}-ca"))
