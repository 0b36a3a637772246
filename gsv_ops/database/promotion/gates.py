"""What must hold before a replica is promoted: each gate with what was seen and what was expected. Pure; unknown does not pass.

CloudNativePG's own `promote` asks only whether the pod exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from gsv_ops.database import conditions
from gsv_ops.database.conditions import Unseen
from gsv_ops.database.promotion.observe import Seen
from gsv_ops.database.proof.sweep import MAKERS
from gsv_ops.database.replication import STREAMING
from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.operations.apply import OPERATION_LABEL
from gsv_ops.platform.spec import Database, PromotionLimits

ENDED = ("completed", "failed", "invalid backup definition")
SYNCHRONOUS = ("sync", "quorum")


@dataclass(frozen=True)
class Gate:
    """One thing that must hold: what it is, whether it does, what was seen, and what is expected."""

    name: str
    passes: bool
    seen: str
    expected: str

    def __str__(self) -> str:
        return f"{self.name}: {self.seen}; expected {self.expected}"


def of_cluster(seen: Seen, database: Database) -> list[Gate]:
    """What must hold whichever replica is promoted."""
    well = health.of(seen.cluster)
    return [
        Gate("cluster", well.healthy, f"{well.status}: {well.reason}", "healthy: not hibernated, fenced or switching over"),
        Gate("deletion", not (asked := objects.deleting(seen.cluster)), "asked for" if asked else "not asked for", "not asked for"),
        *_archiving(seen, database),
        _backup(seen),
        _recovery(seen),
    ]


def of_replica(seen: Seen, name: str, limits: PromotionLimits) -> list[Gate]:
    """What must hold of that replica."""
    pod = seen.pods.get(name)
    ready = objects.condition(pod, "Ready") if pod else None
    leaves = pod is not None and objects.deleting(pod)
    told = "its pod is being deleted" if leaves else str(ready or "no pod, or no Ready condition")
    gates = [Gate("instance", ready is not None and ready.true and not leaves, told, "its pod is Ready, and stays")]
    if isinstance(seen.primary, Unseen):
        return [*gates, Gate("replication", False, f"unknown: {seen.primary.why}", STREAMING)]
    standby = seen.primary.standbys.get(name)
    if standby is None:
        return [*gates, Gate("replication", False, "the primary sends it nothing", STREAMING)]
    wanted = synchronous(seen.cluster)
    return [
        *gates,
        Gate("replication", standby.state == STREAMING, standby.state, STREAMING),
        Gate(
            "sync state",
            not wanted or standby.sync_state in SYNCHRONOUS,
            standby.sync_state,
            "sync or quorum, since the cluster commits synchronously"
            if wanted
            else "any: the cluster commits without waiting for a replica",
        ),
        _bytes("not received", standby.behind_bytes, limits),
        _bytes("not applied", standby.unapplied_bytes, limits),
        *_replay(seen, name, limits),
    ]


def furthest(seen: Seen, database: Database) -> str:
    """The replica that has received most among those whose gates all pass, else among all; empty if there is none.

    Within a megabyte they count as equal, so that a plan names the same one a moment later.
    """
    names = sorted(set(seen.replays) | (set() if isinstance(seen.primary, Unseen) else set(seen.primary.standbys) & set(seen.pods)))

    def key(name: str) -> tuple[bool, int, str]:
        standby = None if isinstance(seen.primary, Unseen) else seen.primary.standbys.get(name)
        fails = not all(gate.passes for gate in of_replica(seen, name, database.promotion))
        return fails, (standby.behind_bytes >> 20) if standby else 1 << 62, name

    return min(names, key=key, default="")


def synchronous(cluster: Object) -> bool:
    """Whether the cluster's commits wait for a replica."""
    return bool(at(cluster, "spec", "postgresql", "synchronous") or at(cluster, "spec", "minSyncReplicas", default=0))


def _archiving(seen: Seen, database: Database) -> list[Gate]:
    condition = objects.condition(seen.cluster, "ContinuousArchiving")
    gates = [Gate("archiving, by the operator", condition is not None and condition.true, str(condition or "it says nothing"), "True")]
    check = conditions.wal_is_archived(seen.archive, database.watch)
    return [*gates, Gate("archiving, by the server and the store", check.passed, check.description, "what is committed reaches the store")]


def _backup(seen: Seen) -> Gate:
    # a phase that is not known may be that of a backup at work
    running = [f"{objects.name(b)} is {p or 'not begun'}" for b in seen.backups if (p := at(b, "status", "phase", default="")) not in ENDED]
    return Gate("backup", not running, ", ".join(running) or "none is running", "none is running: it would fail with its instance's role")


def _recovery(seen: Seen) -> Gate:
    jobs = [f"Job {objects.name(job)}" for job in seen.jobs if int(at(job, "status", "active", default=0))]
    # a proof reads the store alone, is made for one timeline and changes nothing: an emergency does not wait for it
    others = [f"Cluster {objects.name(c)}" for c in seen.recovering if objects.labels(c).get(OPERATION_LABEL) not in MAKERS]
    proofs = len(seen.recovering) - len(others)
    running = ", ".join(jobs + others)
    none = f"none is going on; {proofs} proof reads the archive, which is no hindrance" if proofs else "none is going on"
    return Gate("recovery", not running, running or none, "no instance is being made, and no restore from its archive")


def _bytes(name: str, value: int, limits: PromotionLimits) -> Gate:
    return Gate(name, 0 <= value <= limits.behind_bytes, f"{value} bytes", f"at most {limits.behind_bytes} bytes")


def _replay(seen: Seen, name: str, limits: PromotionLimits) -> list[Gate]:
    expected = f"at most {limits.behind_seconds} s"
    word = seen.replays.get(name, Unseen("it was not asked"))
    if isinstance(word, Unseen):
        return [Gate("lag", False, f"unknown: {word.why}", expected)]
    passes = not word.at_least and word.seconds <= limits.behind_seconds
    return [
        Gate("lag", passes, f"{'at least ' if word.at_least else ''}{word.seconds:.1f} s", expected),
        Gate("replay", not word.paused, "paused" if word.paused else "going on", "going on"),
    ]
