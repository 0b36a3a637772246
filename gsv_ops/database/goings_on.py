"""What goes on around a database, judged from its Kubernetes objects alone: is it up, do its backups end, are its ScheduledBackups kept.

Pure. The sensor asks every minute and starts the checks when an answer changes; the checks give the answer its colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from gsv_ops.database import source
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.failovers import Failover
from gsv_ops.database.replication import STREAMING, Primary
from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at, parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.operation import Check, Fact, Timestamp
from gsv_ops.platform.spec import BackupLimits, Database, Timetable, Watch

UP = "cluster_is_up"
MOVED = "primary_did_not_move_by_itself"
BACKUPS_END = "no_backup_failed_or_is_stuck"
SCHEDULES_KEPT = "scheduled_backups_are_taken"

SCHEDULED_BY = "cnpg.io/scheduled-backup"
COMPLETED = "completed"
FAILED = ("failed", "invalid backup definition", "walArchivingFailing")
NOT_BEGUN = ("", "pending")
MISSED = "missed "
"""How the id of a missed ScheduledBackup begins."""

OF_SERVER = "server: "
"""How the id of what only the primary can tell begins."""

NOT_ASKED = "the primary cannot be asked"


@dataclass(frozen=True)
class Trouble:
    """Something that is not as it should be. `id` is the same for as long as it is the same trouble; the reason may move."""

    id: str
    reason: str


@dataclass(frozen=True)
class Around:
    """The Cluster, its Backups and its ScheduledBackups."""

    cluster: Object
    backups: tuple[Object, ...]
    schedules: tuple[Object, ...]


def of_objects(around: Around, database: Database, now: datetime) -> list[Trouble]:
    """Everything that the objects alone tell."""
    single = (held_back(around.cluster), moving_long(around.cluster, database.promotion.switch_seconds, now), not_archiving(around.cluster))
    found = [trouble for trouble in single if trouble is not None]
    found += bad_backups(around.backups, database.backup, now)
    return found + missed(around.schedules, around.backups, timedelta(seconds=database.watch.tick_seconds), now)


def moving_long(cluster: Object, most: int, now: datetime) -> Trouble | None:
    """That the primary was to move long ago and has not: nothing may be written meanwhile."""
    asked = source.targeted_at(cluster)
    if source.primary(cluster) or asked is None or (now - asked).total_seconds() <= most:
        return None
    now_is, target = (at(cluster, "status", key, default="none") for key in ("currentPrimary", "targetPrimary"))
    reason = f"the primary was to move from {now_is} to {target} at {asked:%H:%M:%S} UTC and has not within {most} s"
    return Trouble(f"moving since {asked.isoformat()}", reason)


def held_back(cluster: Object) -> Trouble | None:
    """That it hibernates, is fenced, or is not well. A switchover that is going on is none."""
    found = health.of(cluster)
    if found.status in ("Healthy", "Progressing"):
        return None
    return Trouble(f"{found.status}: {found.reason}", found.reason)


def not_archiving(cluster: Object) -> Trouble | None:
    """That the operator says so. It says nothing anew where nothing is archived at all: `wal_is_archived` asks the server."""
    found = objects.condition(cluster, "ContinuousArchiving")
    return Trouble(f"archiving since {found.since}", str(found)) if found is not None and found.status == "False" else None


def bad_backups(backups: Sequence[Object], limits: BackupLimits, now: datetime) -> list[Trouble]:
    """Those that failed after the newest completed one, and those that do not begin or end in their time."""
    done = max((objects.created(b) for b in backups if _phase(b) == COMPLETED), default=None)
    found = []
    for backup in backups:
        phase, name, begun = _phase(backup), objects.name(backup), objects.created(backup)
        age = (now - begun).total_seconds()
        most = limits.start_seconds if phase in NOT_BEGUN else limits.start_seconds + limits.run_seconds
        if phase in FAILED:
            if done is None or begun > done:
                found.append(
                    Trouble(
                        f"{objects.uid(backup)} failed", f"Backup {name} is {phase}: {at(backup, 'status', 'error', default='no reason')}"
                    )
                )
        elif phase != COMPLETED and age > most:
            found.append(
                Trouble(f"{objects.uid(backup)} stuck", f"Backup {name} is {phase or 'not begun'} for {age:.0f} s, more than {most} s")
            )
    return found


def missed(schedules: Sequence[Object], backups: Sequence[Object], grace: timedelta, now: datetime) -> list[Trouble]:
    """The ScheduledBackups whose time has come and that made no Backup. The times are the operator's own, of its six-field cron."""
    found = []
    for schedule in schedules:
        if at(schedule, "spec", "suspend"):
            continue
        name, status = objects.name(schedule), schedule.get("status") or {}
        if status.get("error"):
            found.append(Trouble(f"{objects.uid(schedule)} refused", f"ScheduledBackup {name} is refused: {status['error']}"))
            continue
        due, last = (_time(status.get(key)) for key in ("nextScheduleTime", "lastScheduleTime"))
        if due is None and now - objects.created(schedule) > grace:
            found.append(
                Trouble(f"{objects.uid(schedule)} unknown", f"ScheduledBackup {name} does not say when it is due; is the operator up?")
            )
        elif due is not None and now - due > grace:
            found.append(
                Trouble(
                    f"{objects.uid(schedule)} {due.isoformat()}",
                    f"ScheduledBackup {name} was due at {due:%Y-%m-%d %H:%M} UTC and made nothing",
                )
            )
        elif last is not None and now - last > grace and not _made_since(backups, name, last):
            reason = f"ScheduledBackup {name} ran at {last:%Y-%m-%d %H:%M} UTC and there is no Backup of it"
            found.append(Trouble(f"{MISSED}{objects.uid(schedule)} {last.isoformat()}", reason))
    return found


def young(backups: Sequence[Object], timetable: Timetable, now: datetime) -> bool:
    """Whether a completed backup is so young that none more is due."""
    ended = [_time(at(backup, "status", "stoppedAt")) for backup in backups if _phase(backup) == COMPLETED]
    newest = max((moment for moment in ended if moment is not None), default=None)
    return newest is not None and now - newest < timedelta(seconds=timetable.backup_not_within_seconds)


def lagging(word: Primary, replicas: Sequence[str], most_bytes: int) -> list[Trouble]:
    """The replicas that do not stream, or have not applied so many bytes."""
    found = []
    for name in replicas:
        standby = word.standbys.get(name)
        if standby is None or standby.state != STREAMING:
            found.append(
                Trouble(
                    f"{OF_SERVER}{name} does not stream",
                    f"replica {name} is {standby.state if standby else 'not connected to the primary'}",
                )
            )
        elif standby.unapplied_bytes > most_bytes:
            found.append(Trouble(f"{OF_SERVER}{name} is behind", f"replica {name} has not applied {standby.unapplied_bytes} bytes"))
    return found


def is_up(around: Around | Unseen) -> Check:
    """Whether the cluster is neither hibernated nor fenced nor in a phase that somebody must see to."""
    if isinstance(around, Unseen):
        return Check(UP, False, f"unknown: {around.why}")
    trouble, found = held_back(around.cluster), health.of(around.cluster)
    return Check(UP, trouble is None, f"{found.status}: {found.reason}")


def did_not_move(failover: Failover | Unseen | None, watch: Watch, now: datetime) -> Check:
    """Whether the primary is where the desk, or nobody, has put it. Told in yellow for so long after a failover."""
    if isinstance(failover, Unseen):
        return Check(MOVED, False, f"unknown: {failover.why}", "WARN")
    if failover is None or (now - failover.noticed_at).total_seconds() > watch.failover_told_seconds:
        return Check(MOVED, True, "no failover was noticed lately", "WARN")
    facts: dict[str, Fact] = {"noticed at": Timestamp(failover.noticed_at)}
    told = (
        f"the primary moved from {failover.former} to {failover.instance}, and not by this desk: a failover, or somebody's promotion. "
        f"Look at the log of {failover.former}; promote_replica leads back"
    )
    return Check(MOVED, False, told, "WARN", facts)


def backups_end(around: Around | Unseen, limits: BackupLimits, now: datetime) -> Check:
    """Whether no backup failed since the last good one, and none is stuck."""
    if isinstance(around, Unseen):
        return Check(BACKUPS_END, False, f"unknown: {around.why}")
    return _none_of(BACKUPS_END, bad_backups(around.backups, limits, now), "every backup since the newest completed one ended well")


def schedules_kept(around: Around | Unseen, watch: Watch, now: datetime) -> Check:
    """Whether each ScheduledBackup that is not suspended made its Backup."""
    if isinstance(around, Unseen):
        return Check(SCHEDULES_KEPT, False, f"unknown: {around.why}")
    found = missed(around.schedules, around.backups, timedelta(seconds=watch.tick_seconds), now)
    resting = sum(bool(at(schedule, "spec", "suspend")) for schedule in around.schedules)
    return _none_of(SCHEDULES_KEPT, found, f"none of {len(around.schedules)} missed its time; {resting} are suspended")


def _none_of(name: str, troubles: Sequence[Trouble], good: str) -> Check:
    facts: dict[str, Fact] = {"found": len(troubles)}
    return Check(name, not troubles, "; ".join(trouble.reason for trouble in troubles) or good, metadata=facts)


def _made_since(backups: Sequence[Object], schedule: str, since: datetime) -> bool:
    # a Backup is made in the second of its time, or just before the status is written
    slack = timedelta(minutes=1)
    return any(objects.labels(b).get(SCHEDULED_BY) == schedule and objects.created(b) >= since - slack for b in backups)


def _phase(backup: Object) -> str:
    return str(at(backup, "status", "phase", default="") or "")


def _time(text: str | None) -> datetime | None:
    return parse_time(text) if text else None
