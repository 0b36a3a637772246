"""The good conditions of a cluster's servers, judged: pure functions from what was seen to Checks and to the facts that are plotted."""

from __future__ import annotations

from collections.abc import Mapping

from gsv_ops.database.conditions import Unseen
from gsv_ops.database.replication import STREAMING, Replay
from gsv_ops.database.servers.observe import Connections, Replicas
from gsv_ops.operations.operation import Check, Fact, Severity, Table
from gsv_ops.platform.spec import ServerLimits

STREAMS = "every_replica_streams"
NOT_BEHIND = "no_replica_is_behind"
SLOTS = "no_slot_keeps_too_much_wal"
ROOM = "connections_are_left"
TRANSACTIONS = "no_transaction_is_old"
WRAPAROUND = "no_wraparound_is_near"
BLOAT = "no_table_is_bloated"

OF_REPLICATION = {
    STREAMS: "As many replicas as the Cluster wants stream from the primary.",
    NOT_BEHIND: "Every replica applies within seconds what the primary writes; it is measured, not read.",
    SLOTS: "No replication slot makes the primary keep WAL until its volume is full, or has lost WAL that it needs.",
}
OF_CONNECTIONS = {
    ROOM: "The server takes more connections than are used.",
    TRANSACTIONS: "No transaction is open, or prepared, for so long that vacuum and the logs wait for it.",
    WRAPAROUND: "No database comes near the end of its transaction ids, where the server stops taking writes.",
    BLOAT: "No table is made of dead rows that vacuum does not take away.",
}
# From PostgreSQL's documentation, "Preventing Transaction ID Wraparound Failures": at two thousand million writes stop.
LAST_ID = 2**31
LOST = ("lost", "unreserved")

Rows = list[Mapping[str, str | int | float]]


def of_replication(seen: Replicas | Unseen, limits: ServerLimits) -> list[Check]:
    """Each of OF_REPLICATION."""
    if isinstance(seen, Unseen):
        return [_unseen(name, seen) for name in OF_REPLICATION]
    return [_streams(seen), _not_behind(seen, limits), _slots(seen, limits)]


def of_connections(seen: Connections | Unseen, limits: ServerLimits) -> list[Check]:
    """Each of OF_CONNECTIONS."""
    if isinstance(seen, Unseen):
        return [_unseen(name, seen) for name in OF_CONNECTIONS]
    used = round(100 * seen.used / max(1, seen.room), 1)
    oldest = max(seen.ages, key=lambda name: seen.ages[name], default="")
    age = seen.ages.get(oldest, LAST_ID)
    worst = max(seen.dead, key=lambda table: table.percent, default=None)
    return [
        _limited(
            ROOM,
            used,
            (limits.connections_warn_percent, limits.connections_error_percent),
            "%",
            f"{seen.used} of {seen.room} are used",
            "percent used",
        ),
        _limited(
            TRANSACTIONS,
            round(seen.oldest_seconds, 1),
            (limits.transaction_warn_seconds, limits.transaction_error_seconds),
            "s",
            f"the oldest is {seen.oldest_seconds:.0f} s old: {seen.oldest}",
            "seconds of the oldest",
        ),
        _limited(
            WRAPAROUND,
            age,
            (limits.wraparound_warn_ids, limits.wraparound_error_ids),
            "ids",
            f"{oldest or 'no database'} has used {age} ids since it was frozen",
            "ids used",
        ),
        _limited(
            BLOAT,
            round(worst.percent, 1) if worst else 0.0,
            (limits.dead_warn_percent, limits.dead_error_percent),
            "%",
            f"of {worst.table} {worst.dead} rows are dead" if worst else f"no table has {limits.dead_from_rows} dead rows",
            "percent dead in the worst",
        ),
    ]


def replication_facts(seen: Replicas) -> dict[str, Fact]:
    """What stands on the asset's page, the plotted numbers first."""
    replicas = [name for name in seen.instances if name != seen.primary]
    lags = [replay.seconds for replay in seen.replays.values() if isinstance(replay, Replay)]
    # others that read the log, such as the copy from which an instance is made, are none of its replicas
    standbys = [seen.word.standbys[name] for name in replicas if name in seen.word.standbys]
    facts: dict[str, Fact] = {
        "replicas streaming": sum(standby.state == STREAMING for standby in standbys),
        "WAL on disk in bytes": seen.wal_bytes,
        "WAL kept for slots in bytes": max((slot.kept_bytes for slot in seen.slots), default=0),
        "size in bytes": sum(seen.sizes.values()),
        "timeline": seen.word.timeline,
    }
    # of none, or where one is not known, a number would be plotted as if all were well
    if replicas and len(lags) == len(replicas):
        facts["worst lag in seconds"] = round(max(lags), 2)
    if replicas and len(standbys) == len(replicas):
        facts["worst bytes not received"] = max(standby.behind_bytes for standby in standbys)
        facts["worst bytes not applied"] = max(standby.unapplied_bytes for standby in standbys)
    rows: Rows = [
        {"instance": name, "role": "primary" if name == seen.primary else "replica", **_standby(seen, name)} for name in seen.instances
    ]
    slots: Rows = [
        {"slot": s.name, "type": s.type, "active": str(s.active), "WAL": s.wal_status, "kept bytes": s.kept_bytes} for s in seen.slots
    ]
    sizes: Rows = [{"database": name, "bytes": size} for name, size in seen.sizes.items()]
    return {**facts, "instances": Table(rows), "slots": Table(slots), "databases": Table(sizes)}


def connection_facts(seen: Connections) -> dict[str, Fact]:
    """What stands on the asset's page, the plotted numbers first."""
    applications: Rows = [{"application": a, "user": u, "sessions": n, "idle in transaction": i} for a, u, n, i in seen.by_application]
    dead: Rows = [{"table": t.table, "dead rows": t.dead, "percent": round(t.percent, 1), "bytes": t.bytes} for t in seen.dead]
    return {
        "sessions": seen.used,
        "room for sessions": seen.room,
        "oldest transaction in seconds": round(seen.oldest_seconds, 1),
        "oldest transaction": seen.oldest,
        "ids used of the oldest database": max(seen.ages.values(), default=LAST_ID),
        "by application": Table(applications),
        "ids used": Table([{"database": name, "ids": age} for name, age in seen.ages.items()]),
        "dead rows": Table(dead),
        **seen.how_to_connect,
    }


def _streams(seen: Replicas) -> Check:
    states = {name: standby.state for name, standby in seen.word.standbys.items() if name in seen.instances}
    good = sum(state == STREAMING for state in states.values())
    others = [
        f"{name} is {states.get(name, 'not connected')}"
        for name in seen.instances
        if name != seen.primary and states.get(name) != STREAMING
    ]
    facts: dict[str, Fact] = {"streaming": good, "wanted": seen.wanted - 1}
    told = f"{good} of {seen.wanted - 1} stream from {seen.primary}"
    if good >= seen.wanted - 1 and not others:
        return Check(STREAMS, True, told, metadata=facts)
    return Check(STREAMS, False, "; ".join([told, *others]), metadata=facts)


def _not_behind(seen: Replicas, limits: ServerLimits) -> Check:
    unknown = [f"{name}: {word.why}" for name, word in seen.replays.items() if isinstance(word, Unseen)]
    if unknown:
        return Check(NOT_BEHIND, False, f"unknown: {'; '.join(unknown)}")
    words = {name: word for name, word in seen.replays.items() if isinstance(word, Replay)}
    paused = [name for name, word in words.items() if word.paused]
    worst = max(words, key=lambda name: words[name].seconds, default="")
    if paused:
        return Check(NOT_BEHIND, False, f"replay is paused on {', '.join(paused)}: select pg_wal_replay_resume() there")
    seconds = round(words[worst].seconds, 2) if worst else 0.0
    told = f"{worst} is {'at least ' if words[worst].at_least else ''}{seconds:.1f} s behind" if worst else "it has no replica"
    check = _limited(NOT_BEHIND, seconds, (limits.lag_warn_seconds, limits.lag_error_seconds), "s", told, "worst lag in seconds")
    if check.passed and worst and words[worst].at_least:
        return Check(NOT_BEHIND, False, told, "WARN", check.metadata)
    return check


def _slots(seen: Replicas, limits: ServerLimits) -> Check:
    lost = [f"{slot.name} is {slot.wal_status}" for slot in seen.slots if slot.wal_status in LOST]
    if lost:
        return Check(
            SLOTS, False, f"WAL that a slot needs is gone, or goes next: {', '.join(lost)}; drop the slot, or make its reader anew"
        )
    worst = max(seen.slots, key=lambda slot: slot.kept_bytes, default=None)
    kept = worst.kept_bytes if worst else 0
    told = f"{worst.name} keeps {kept} bytes, {'in use' if worst.active else 'not in use'}" if worst else "there is no slot"
    return _limited(SLOTS, kept, (limits.slot_warn_bytes, limits.slot_error_bytes), "bytes", told, "WAL kept in bytes")


def _limited(name: str, value: float, limits: tuple[int, int], unit: str, told: str, label: str) -> Check:
    warn, error = limits
    facts: Mapping[str, Fact] = {label: value}
    if value <= warn:
        return Check(name, True, told, metadata=facts)
    severity: Severity = "ERROR" if value > error else "WARN"
    return Check(name, False, f"{told}; more than {error if value > error else warn} {unit}", severity, facts)


def _standby(seen: Replicas, name: str) -> dict[str, str | int | float]:
    standby = seen.word.standbys.get(name)
    if name == seen.primary:
        return {"state": "", "sync": "", "not received": 0, "not applied": 0}
    if standby is None:
        return {"state": "not connected", "sync": "", "not received": -1, "not applied": -1}
    return {
        "state": standby.state,
        "sync": standby.sync_state,
        "not received": standby.behind_bytes,
        "not applied": standby.unapplied_bytes,
    }


def _unseen(name: str, unseen: Unseen) -> Check:
    return Check(name, False, f"unknown: {unseen.why}")
