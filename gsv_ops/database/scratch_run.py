"""The life of a scratch cluster, for every kind of proof: made behind its NetworkPolicy, watched while it recovers, and taken down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from gsv_ops.database import access, recovery, source
from gsv_ops.database.recovery import Recovered
from gsv_ops.kube import errors, objects
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import NETWORK_POLICY, PERSISTENT_VOLUME_CLAIM, POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Action, Plan
from gsv_ops.platform.spec import Database

PVC_POLL_SECONDS = 1.0
LEFT = ",".join(kind.qualified for kind in (POSTGRES_CLUSTER, NETWORK_POLICY))


def look(plan: Plan, run_id: str, results: Mapping[str, Any]) -> list[str]:
    """How to see that nothing of the scratch cluster is left."""
    namespaces = sorted({action.target.namespace for action in plan.actions})
    return [f"kubectl get {LEFT} -n {namespace} -l {apply.ROOT_RUN_LABEL}={run_id}" for namespace in namespaces]


def restore(desk: Desk, database: Database, policy: Action, cluster: Action, journal: Journal, what: str) -> Recovered:
    """The scratch cluster, ready, with how long each part took. Raises RecoveryFailed and RecoveryOverdue."""
    lifetime = timedelta(seconds=database.proof.lifetime_seconds)

    def make() -> Object:
        apply.create(desk, policy, journal, lifetime)
        return apply.create(desk, cluster, journal, lifetime)

    # an operator that is restarted answers no webhook for a while, and then the API server takes no Cluster
    name = objects.name(access.again(desk, "asking for the scratch cluster", make))
    desk.log(f"Cluster {database.namespace}/{name}: restoring {what}")
    recovered = recovery.wait(
        desk,
        database.namespace,
        name,
        seconds=database.proof.recovery_seconds,
        failed_attempts=database.proof.failed_attempts,
        logs=recovery.Logs(),
    )
    desk.log(f"{name} is ready: " + ", ".join(f"{part} {seconds} s" for part, seconds in recovered.seconds.items()))
    return recovered


def release(desk: Desk, journal: Journal) -> None:
    """Take down the scratch cluster, its volumes and its NetworkPolicy. Raises OperationFailed naming what is left at the deadline."""
    if journal.released or not journal.entries:
        return
    if left := take_down(desk, journal):
        raise OperationFailed(
            f"not everything of the scratch cluster is gone in time: {'; '.join(left)}. It expires and the sweeper removes it.",
            "launch sweep_scratch_clusters",
        )
    journal.release()


def take_down(desk: Desk, journal: Journal) -> list[str]:
    """Take down what the journal's run made, clusters with their volumes; what is still there when the time for it is up."""
    seconds = max(database.proof.release_seconds for database in desk.spec.databases.values())
    deadline = desk.monotonic() + seconds
    left = apply.release_made(desk, journal, seconds)
    for target in journal.targets():
        if target.kind == POSTGRES_CLUSTER.kind:
            left += volumes_left(desk, target.namespace, target.name, deadline)
    return left


def volumes_left(desk: Desk, namespace: str, name: str, deadline: float) -> list[str]:
    """The volumes of the cluster `name` that are still there at the deadline (of desk.monotonic); waits for them to go."""
    while True:
        try:
            claims = desk.kube.list(PERSISTENT_VOLUME_CLAIM, namespace, labels=f"{source.CLUSTER_LABEL}={name}", metadata_only=True)
            left = [f"PersistentVolumeClaim {namespace}/{objects.name(claim)}" for claim in claims]
        except errors.Unavailable as problem:
            left = [f"the volumes of {name}, perhaps: {problem}"]
        if not left or desk.monotonic() > deadline:
            return left
        desk.sleep(PVC_POLL_SECONDS)
