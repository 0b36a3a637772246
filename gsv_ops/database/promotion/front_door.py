"""The cluster's read-write Service, as a client finds it: the instance behind it, and a probe that commits through it all the time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from gsv_ops.database import heartbeat
from gsv_ops.database.backup.execute import instance_of
from gsv_ops.database.session import Connection, DatabaseError, QueryFailed, connect, meaning
from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import ENDPOINT_SLICE
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.platform.spec import Database

EVERY_SECONDS = 0.1
STOP_SECONDS = 15.0
TABLE_RIGHT = "INSERT on public.heartbeat"
INSERT = "insert into public.heartbeat default values returning at"


def behind(desk: Desk, database: Database, cluster: Object) -> list[str]:
    """The pods that the read-write Service leads to now."""
    service = str(at(cluster, "status", "writeService", default="") or f"{database.cluster}-rw")
    slices = desk.kube.list(ENDPOINT_SLICE, database.namespace, labels=f"kubernetes.io/service-name={service}")
    ready = [e for found in slices for e in found.get("endpoints") or [] if at(e, "conditions", "ready", default=True)]
    return sorted({str(at(endpoint, "targetRef", "name", default="?")) for endpoint in ready})


@contextmanager
def session(desk: Desk, database: Database, cluster: Object, seconds: float = 10) -> Iterator[Connection]:
    """A session to the heartbeat's database on the instance behind the Service. Raises OperationFailed where that is not exactly one."""
    pods = behind(desk, database, cluster)
    if len(pods) != 1:
        raise OperationFailed(f"the read-write Service leads to {', '.join(pods) or 'no instance'}; expected one")
    with instance_of(desk, database, cluster, pods[0]) as found:
        there = replace(found, database=heartbeat.of(database).database)
        with connect(there, connect_timeout=seconds, statement_timeout=seconds, lock_timeout=seconds) as connection:
            yield connection


def write(connection: Connection) -> datetime:
    """One committed heartbeat row; its time."""
    with meaning("writing a heartbeat", TABLE_RIGHT):
        row = connection.execute(INSERT).fetchone()
    if row is None:
        raise QueryFailed("the insert gave no row", None)
    found: datetime = row[0]
    return found


def missing(connection: Connection, rows: list[datetime]) -> list[datetime]:
    """Those of the rows that are not there."""
    with meaning("looking for the rows that were acknowledged", "SELECT on public.heartbeat"):
        found = connection.execute("select at from public.heartbeat where at = any(%s)", [rows]).fetchall()
    return sorted(set(rows) - {row[0] for row in found})


@dataclass
class Probe:
    """Commits a row through the Service every tenth of a second, in a thread of its own, and remembers each acknowledged commit.

    Only what `start` began is read by others while it runs: appends to lists.
    """

    desk: Desk
    database: Database
    cluster: Object
    acknowledged: list[tuple[float, datetime]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        self._thread = threading.Thread(target=self._run, name="write probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End; a write that hangs is left behind, and its thread with it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def outage(self) -> float:
        """The longest time without an acknowledged commit, in seconds."""
        times = [moment for moment, _ in self.acknowledged]
        return max((after - before for before, after in pairwise(times)), default=0.0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with session(self.desk, self.database, self.cluster, seconds=2) as connection:
                    while not self._stop.is_set():
                        row = write(connection)
                        self.acknowledged.append((self.desk.monotonic(), row))
                        self._stop.wait(EVERY_SECONDS)
            except (DatabaseError, KubeError, OperationFailed) as problem:
                self.problems.append(str(problem))
            except Exception as problem:  # noqa: BLE001  a probe that ends would measure an outage that was none
                self.problems.append(f"unexpected {type(problem).__name__}")
            self._stop.wait(EVERY_SECONDS)
