"""How the servers of a cluster are: what turns their pages yellow and red, and what is read of a real one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from upath import UPath

from gsv_ops.database import replication
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.lsn import format_lsn, parse_lsn
from gsv_ops.database.replication import Primary, Replay, Standby
from gsv_ops.database.servers import conditions
from gsv_ops.database.servers import observe as servers
from gsv_ops.database.servers.observe import SLOTS, Connections, Dead, Replicas, Slot, connections_of
from gsv_ops.database.session import Connection, QueryFailed, connect
from gsv_ops.kube.protocol import Kube
from gsv_ops.operations.operation import Check, Desk
from gsv_ops.operations.records import Records
from gsv_ops.platform import spec
from gsv_ops_tests.unit.database.a_cluster import DATABASE as A_DATABASE
from gsv_ops_tests.unit.database.a_cluster import cluster
from gsv_ops_tests.unit.database.conftest import Database

LIMITS = spec.load(None).databases["cmp_postgres"].servers
GIB = 2**30
HERE = Replicas(
    wanted=3,
    instances=("a", "b", "c"),
    primary="a",
    word=Primary(10**9, 2, {name: Standby(name, "streaming", "async", 5, 7) for name in "bc"}),
    replays={"b": Replay(0.2, at_least=False, paused=False), "c": Replay(0.1, at_least=False, paused=False)},
    slots=(Slot("_cnpg_b", "physical", True, "reserved", 1000),),
    wal_bytes=5 * GIB,
    sizes={"agent_registry": 3, "gsv_ops": 4},
)
SESSIONS = Connections(
    room=97,
    by_application=(("portal", "registry", 40, 2), ("b", "streaming_replica", 2, 0)),
    oldest="pid 7, portal as registry, active",
    oldest_seconds=12.0,
    ages={"agent_registry": 10**6, "postgres": 5},
    dead=(Dead("public.t", live=900_000, dead=100_000, bytes=GIB),),
)
MakeDatabase = Callable[..., Database]


def judged(checks: list[Check], name: str) -> tuple[bool, str, str]:
    (check,) = [check for check in checks if check.name == name]
    return check.passed, check.severity, check.description


def slot(kept: int, status: str = "extended", active: bool = False) -> Replicas:
    return replace(HERE, slots=(*HERE.slots, Slot("forgotten", "logical", active, status, kept)))


def replays(word: Replay | Unseen) -> Replicas:
    return replace(HERE, replays={**HERE.replays, "c": word})


@pytest.mark.parametrize(
    ("seen", "name", "severity", "told"),
    [
        (HERE, "", "", ""),
        (
            replace(HERE, word=Primary(1, 2, {"b": HERE.word.standbys["b"]})),
            conditions.STREAMS,
            "ERROR",
            "1 of 2 stream from a; c is not connected",
        ),
        (
            replace(HERE, word=Primary(1, 2, {**HERE.word.standbys, "c": Standby("c", "catchup", "async", 1, 1)})),
            conditions.STREAMS,
            "ERROR",
            "c is catchup",
        ),
        (replace(HERE, wanted=4), conditions.STREAMS, "ERROR", "2 of 3 stream from a"),
        (replays(Replay(11.0, at_least=True, paused=False)), conditions.NOT_BEHIND, "WARN", "c is at least 11.0 s behind; more than 10 s"),
        (replays(Replay(3.0, at_least=True, paused=False)), conditions.NOT_BEHIND, "WARN", "c is at least 3.0 s behind"),
        (replays(Replay(121.0, at_least=True, paused=False)), conditions.NOT_BEHIND, "ERROR", "more than 120 s"),
        (replays(Replay(0.0, at_least=True, paused=True)), conditions.NOT_BEHIND, "ERROR", "replay is paused on c"),
        (replays(Unseen("no answer")), conditions.NOT_BEHIND, "ERROR", "unknown: c: no answer"),
        (slot(3 * GIB), conditions.SLOTS, "WARN", f"forgotten keeps {3 * GIB} bytes, not in use; more than {2 * GIB} bytes"),
        (slot(7 * GIB, active=True), conditions.SLOTS, "ERROR", "in use; more than"),
        (slot(0, "lost"), conditions.SLOTS, "ERROR", "forgotten is lost"),
        (slot(0, "unreserved"), conditions.SLOTS, "ERROR", "forgotten is unreserved"),
    ],
)
def test_one_thing_that_is_not_well_turns_its_own_check(seen: Replicas, name: str, severity: str, told: str) -> None:
    checks = conditions.of_replication(seen, LIMITS)
    assert {check.name for check in checks} == set(conditions.OF_REPLICATION)
    assert {check.name for check in checks if not check.passed} == ({name} if name else set())
    if name:
        assert judged(checks, name)[1] == severity
        assert told in judged(checks, name)[2]


@pytest.mark.parametrize(
    ("change", "name", "severity", "told"),
    [
        ({}, "", "", ""),
        ({"room": 50}, conditions.ROOM, "WARN", "42 of 50 are used; more than 75 %"),
        ({"room": 42}, conditions.ROOM, "ERROR", "more than 90 %"),
        ({"oldest_seconds": 1801.0}, conditions.TRANSACTIONS, "WARN", "pid 7, portal as registry, active; more than 1800 s"),
        ({"oldest_seconds": 14401.0}, conditions.TRANSACTIONS, "ERROR", "more than 14400 s"),
        ({"ages": {"postgres": 600_000_000}}, conditions.WRAPAROUND, "WARN", "postgres has used 600000000 ids"),
        ({"ages": {"postgres": 1_300_000_000}}, conditions.WRAPAROUND, "ERROR", "more than 1200000000 ids"),
        ({"ages": {}}, conditions.WRAPAROUND, "ERROR", "no database"),
        ({"dead": (Dead("s.t", 70_000, 60_000, 1),)}, conditions.BLOAT, "WARN", "of s.t 60000 rows are dead; more than 25 %"),
        ({"dead": (Dead("s.t", 10_000, 60_000, 1),)}, conditions.BLOAT, "ERROR", "more than 60 %"),
    ],
)
def test_a_session_that_holds_things_up_turns_its_own_check(change: dict[str, object], name: str, severity: str, told: str) -> None:
    checks = conditions.of_connections(replace(SESSIONS, **change), LIMITS)  # type: ignore[arg-type]
    assert {check.name for check in checks} == set(conditions.OF_CONNECTIONS)
    assert {check.name for check in checks if not check.passed} == ({name} if name else set())
    if name:
        assert judged(checks, name)[1] == severity
        assert told in judged(checks, name)[2]


def test_what_cannot_be_seen_is_red_everywhere() -> None:
    checks = conditions.of_replication(Unseen("x"), LIMITS) + conditions.of_connections(Unseen("x"), LIMITS)
    assert {check.name for check in checks} == {*conditions.OF_REPLICATION, *conditions.OF_CONNECTIONS}
    assert {(check.passed, check.description) for check in checks} == {(False, "unknown: x")}


def test_the_page_of_replication_has_numbers_that_are_plotted_and_each_instance_with_its_role() -> None:
    facts = conditions.replication_facts(HERE)
    assert (facts["replicas streaming"], facts["worst lag in seconds"], facts["size in bytes"]) == (2, 0.2, 7)
    assert [(row["instance"], row["role"]) for row in facts["instances"].rows] == [("a", "primary"), ("b", "replica"), ("c", "replica")]  # type: ignore[union-attr]
    assert conditions.connection_facts(SESSIONS)["sessions"] == 42


@pytest.mark.parametrize(
    ("change", "absent"),
    [
        ({"replays": {**HERE.replays, "c": Unseen("no answer")}}, {"worst lag in seconds"}),
        (
            {"word": Primary(1, 2, {"b": HERE.word.standbys["b"]})},
            {"worst bytes not received", "worst bytes not applied"},
        ),
        (
            {"wanted": 1, "instances": ("a",), "word": Primary(1, 2, {}), "replays": {}},
            {"worst lag in seconds", "worst bytes not received", "worst bytes not applied"},
        ),
    ],
)
def test_what_is_not_known_is_not_plotted_as_if_all_were_well(change: dict[str, Any], absent: set[str]) -> None:
    whole = set(conditions.replication_facts(HERE))
    assert whole - set(conditions.replication_facts(replace(HERE, **change))) == absent


def test_who_only_copies_the_log_is_none_of_the_replicas() -> None:
    copying = Standby("pg_basebackup", "streaming", "async", 1 << 40, 1 << 40)
    seen = replace(HERE, word=Primary(1, 2, {**HERE.word.standbys, copying.name: copying}))
    facts = conditions.replication_facts(seen)
    assert (facts["replicas streaming"], facts["worst bytes not received"], facts["worst bytes not applied"]) == (2, 5, 7)


class Log:
    """A primary whose log grows by a byte a second, and its standbys, each so many seconds behind; waiting moves their one clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **behind: float) -> None:
        self.at, self.behind = 1000.0, behind
        monkeypatch.setattr(servers, "instance_of", lambda desk, database, cluster, pod: nullcontext(pod))
        monkeypatch.setattr(servers, "connect", lambda pod: nullcontext(AStandby(self, pod)))

    def sleep(self, seconds: float) -> None:
        self.at += seconds

    def execute(self, *_: Any) -> Log:
        return self

    def fetchone(self) -> tuple[str, int]:
        return format_lsn(int(self.at)), 1


class AStandby:
    def __init__(self, log: Log, name: str) -> None:
        self.log, self.name = log, name

    def execute(self, _: str, asked: list[str]) -> AStandby:
        self.asked = parse_lsn(asked[0])
        return self

    def fetchone(self) -> tuple[bool, str, float]:
        return self.log.at - self.log.behind[self.name] >= self.asked, "not paused", 0.0


def test_a_replica_that_is_asked_after_a_slow_one_is_no_less_behind(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = Log(monkeypatch, b=20.0, c=6.0)
    desk = Desk(cast(Kube, None), spec.load(None), "", "", Records(UPath(tmp_path)), "", print, monotonic=lambda: log.at, sleep=log.sleep)
    body = cluster(status__currentPrimary="a", status__targetPrimary="a", status__instanceNames=["a", "b", "c"])
    found = servers.replays_of(desk, A_DATABASE, body, cast(Connection, log), 30.0)
    lags = {name: round(word.seconds) for name, word in found.items() if isinstance(word, Replay)}
    assert lags == {"b": pytest.approx(20, abs=1), "c": pytest.approx(6, abs=1)}


@pytest.mark.postgres
def test_a_real_primary_is_read_by_the_desks_own_role(make_database: MakeDatabase) -> None:
    """A slot that keeps WAL, a transaction left open and one that was prepared, dead rows; and that no statement is shown."""
    database = make_database(
        "create table dead (a int)", "insert into dead select generate_series(1, 3000)", "delete from dead where a <= 2000"
    )
    database.run("select pg_create_physical_replication_slot('forgotten', true)", "checkpoint", "analyze dead")
    try:
        with database.connect() as holder, connect(database.endpoint) as session:
            holder.execute("set application_name = 'holder'")
            holder.execute("begin")
            holder.execute("select 'a secret in a statement', pg_current_xact_id()")
            seen = connections_of(session, dead_from_rows=1000)
            assert seen.room == 57
            assert ("holder", "postgres", 1, 1) in seen.by_application
            assert "holder as postgres, idle in transaction" in seen.oldest
            assert "secret" not in repr(seen)
            assert {table.table: (table.live, table.dead) for table in seen.dead} == {"public.dead": (1000, 2000)}
            assert {"postgres", "template0"} < set(seen.ages)
            (kept,) = [Slot(*row) for row in session.execute(SLOTS).fetchall() if row[0] == "forgotten"]
            assert (kept.type, kept.active, kept.wal_status, kept.kept_bytes > 0) == ("physical", False, "reserved", True)
            primary = replication.primary(session)
            assert (primary.timeline, primary.standbys) == (1, {})
            assert replication.position(session) >= primary.position
            with pytest.raises(QueryFailed, match="is a primary and not a standby"):
                replication.replay(session, primary.position, 1.0, lambda: 0.0, lambda _: None)
            holder.execute("prepare transaction 'left'")
            assert "prepared transaction of postgres" in connections_of(session, 1).oldest
            holder.execute("rollback prepared 'left'")
    finally:
        database.run("select pg_drop_replication_slot('forgotten')")
