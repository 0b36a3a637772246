"""Reads how a cluster's servers are: who follows whom and how far behind, what slots keep, sizes, connections, and what vacuum is held by.

Only numbers and names are read, never a statement's text: it may quote rows and passwords.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gsv_ops.database import connection_info, replication, source
from gsv_ops.database import observe as room
from gsv_ops.database.backup.execute import endpoint_of, instance_of
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.replication import Primary, Replay
from gsv_ops.database.session import Connection, QueryFailed, connect, meaning
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations.operation import Desk, Fact
from gsv_ops.platform.spec import Database

MONITOR = "membership of pg_monitor"
MOST_ROWS = 20

SLOTS = """
    select slot_name, slot_type, active, coalesce(wal_status, 'unknown'),
           coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::bigint
      from pg_replication_slots order by 5 desc, 1
"""
WAL = "select coalesce(sum(size), 0)::bigint, count(*) from pg_ls_waldir()"
DATABASES = (
    "select datname, pg_database_size(oid)::bigint, greatest(age(datfrozenxid), mxid_age(datminmxid)) from pg_database order by 2 desc"
)
ROOM = "select current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
CONNECTIONS = """
    select coalesce(nullif(application_name, ''), '(no name)'), coalesce(usename, '(no user)'), count(*),
           count(*) filter (where state like 'idle in transaction%')
      from pg_stat_activity where backend_type in ('client backend', 'walsender') group by 1, 2 order by 3 desc, 1, 2
"""
# what holds back vacuum: a transaction that is open, or one that was prepared and forgotten
OLDEST = """
    select who, seconds from (
      select format('pid %s, %s as %s, %s', pid, coalesce(nullif(application_name, ''), '(no name)'), usename, state) as who,
             extract(epoch from clock_timestamp() - xact_start)::float8 as seconds
        from pg_stat_activity where xact_start is not null and backend_type = 'client backend' and pid <> pg_backend_pid()
      union all
      select format('prepared transaction of %s in %s', owner, database), extract(epoch from clock_timestamp() - prepared)::float8
        from pg_prepared_xacts) open
     order by seconds desc limit 1
"""
DEAD = """
    select format('%%I.%%I', schemaname, relname), n_live_tup::bigint, n_dead_tup::bigint, pg_total_relation_size(relid)::bigint
      from pg_stat_all_tables where n_dead_tup >= %s and schemaname <> 'pg_toast' order by n_dead_tup desc limit %s
"""


@dataclass(frozen=True)
class Slot:
    """A replication slot, and the bytes of WAL that are kept for it."""

    name: str
    type: str
    active: bool
    wal_status: str
    kept_bytes: int


@dataclass(frozen=True)
class Replicas:
    """Who follows whom: the instances that the Cluster wants and names, the primary's word, each standby's, slots, WAL and sizes."""

    wanted: int
    instances: tuple[str, ...]
    primary: str
    word: Primary
    replays: Mapping[str, Replay | Unseen]
    slots: tuple[Slot, ...]
    wal_bytes: int
    sizes: Mapping[str, int]


@dataclass(frozen=True)
class Dead:
    """A table with rows that vacuum has not taken away."""

    table: str
    live: int
    dead: int
    bytes: int

    @property
    def percent(self) -> float:
        """Of all rows, those that are dead."""
        return 100 * self.dead / max(1, self.live + self.dead)


@dataclass(frozen=True)
class Connections:
    """Who is connected and what they hold up. by_application: (application, user, sessions, of them idle in a transaction)."""

    room: int
    by_application: tuple[tuple[str, str, int, int], ...]
    oldest: str
    oldest_seconds: float
    ages: Mapping[str, int]
    dead: tuple[Dead, ...]
    how_to_connect: Mapping[str, Fact] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Sessions, those of standbys with them."""
        return sum(sessions for _, _, sessions, _ in self.by_application)


def replicas(desk: Desk, database: Database) -> Replicas | Unseen:
    """The replication of one cluster, as its primary and its standbys see it."""

    def look() -> Replicas:
        cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
        with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
            word = replication.primary(session)
            with meaning("asking for slots, WAL and sizes", MONITOR):
                slots = tuple(Slot(*row) for row in session.execute(SLOTS).fetchall())
                wal = session.execute(WAL).fetchone()
                sizes = {row[0]: row[1] for row in session.execute(DATABASES).fetchall()}
            replays = replays_of(desk, database, cluster, session, float(database.servers.lag_warn_seconds))
        return Replicas(
            wanted=int(at(cluster, "spec", "instances", default=1)),
            instances=source.instances(cluster),
            primary=source.primary(cluster),
            word=word,
            replays=replays,
            slots=slots,
            wal_bytes=wal[0] if wal else 0,
            sizes=sizes,
        )

    return room.seen(look)


def replays_of(desk: Desk, database: Database, cluster: Object, primary: Connection, most: float) -> dict[str, Replay | Unseen]:
    """How far behind each other instance is, in its own words; each is waited for at most so many seconds.

    Each is held against what the primary had written when that one was asked: after waiting for one, the next would look up to date.
    """

    def ask(pod: str) -> Replay:
        with instance_of(desk, database, cluster, pod) as endpoint, connect(endpoint) as session:
            return replication.replay(session, replication.position(primary), most, desk.monotonic, desk.sleep)

    others = [name for name in source.instances(cluster) if name != source.primary(cluster)]
    return {name: room.seen(lambda name=name: ask(name)) for name in others}  # type: ignore[misc]


def connections(desk: Desk, database: Database) -> Connections | Unseen:
    """The sessions of one cluster's primary, and what vacuum waits for there."""

    def look() -> Connections:
        cluster = desk.kube.get(POSTGRES_CLUSTER, database.cluster, database.namespace)
        with endpoint_of(desk, database, cluster) as endpoint, connect(endpoint) as session:
            found = connections_of(session, database.servers.dead_from_rows)
        return replace(found, how_to_connect=connection_info.facts(cluster, database.database))

    return room.seen(look)


def connections_of(session: Connection, dead_from_rows: int) -> Connections:
    """The same of one server."""
    with meaning("asking for the connections", MONITOR):
        left = session.execute(ROOM).fetchone()
        by_application = tuple(tuple(row) for row in session.execute(CONNECTIONS).fetchall())
        oldest = session.execute(OLDEST).fetchone()
        ages = {row[0]: row[2] for row in session.execute(DATABASES).fetchall()}
        dead = tuple(Dead(*row) for row in session.execute(DEAD, [dead_from_rows, MOST_ROWS]).fetchall())
    if left is None:
        raise QueryFailed("the server does not say how many connections it takes", None)
    who, seconds = oldest or ("none", 0.0)
    return Connections(int(left[0]), by_application, who, seconds, ages, dead)
