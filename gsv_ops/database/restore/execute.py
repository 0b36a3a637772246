"""Makes the Cluster, watches it recover, and asks it whether it is what was wanted; then its first backup.

What recovered is never taken down, whatever is found in it afterwards: an operator who restores needs it more than a clean namespace. Only
a recovery that failed, or was cancelled, is, since there is nothing in it that the archive does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsv_ops.database import recoveries, recovery
from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.heartbeats_kept import End
from gsv_ops.database.restore import asking
from gsv_ops.database.scratch_run import take_down
from gsv_ops.kube import health
from gsv_ops.kube.errors import WaitTimeout
from gsv_ops.kube.objects import parse_time
from gsv_ops.kube.protocol import Object
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Desk, OperationFailed
from gsv_ops.operations.plan import Plan
from gsv_ops.platform.spec import Database

RECOVERED, KEEP = "recovered", "keep"


def execute(desk: Desk, plan: Plan, journal: Journal) -> Mapping[str, Any]:
    """Each question with its answer (yes, no, unknown) and what was found; how long each part took.

    Raises RecoveryFailed with the cause from the recovery's pods; RecoveryOverdue where it goes on unwatched.
    """
    database = database_of(desk.spec, plan.params)
    cluster, first_backup = plan.actions
    restored = database.model_copy(update={"cluster": cluster.target.name})
    journal.note(**{RECOVERED: False, KEEP: bool(plan.params["keep_failed"])})
    apply.create(desk, cluster, journal)
    desk.log(f"{cluster.target}: restoring to {plan.facts['goal']} from base backup {plan.facts['base backup']}")
    body, timings = _recovered(desk, restored, journal)
    begun = desk.monotonic()
    answers = [*asking.application(desk, restored, body), *asking.state(desk, restored, body, plan.facts)]
    ended = next((int(answer.facts[asking.ENDED]) for answer in answers if asking.ENDED in answer.facts), None)
    if ended is not None:
        recoveries.keep(desk, database, plan.facts["base backup"], ended - int(plan.facts["begin LSN"]), timings)
        time = parse_time(plan.params["time"]) if plan.params["time"] else None
        answers += asking.heartbeats(desk, database, restored, End(ended, time), int(plan.facts["timeline"]))
    answers.append(_whole(desk, restored))
    answers.append(asking.replicas(desk, restored, int(plan.params["instances"])))
    answers.append(asking.first_backup(desk, restored, first_backup, journal))
    timings["from serving to checked"] = round(desk.monotonic() - begun, 1)
    return {"cluster": restored.cluster, "answers": [vars(answer) for answer in answers], "timings": timings}


def release(desk: Desk, journal: Journal) -> None:
    """Take down a restore of this run whose recovery failed or was cancelled. Whatever recovered stays, and so does another run's."""
    if journal.released or not journal.entries:
        return
    named = ", ".join(str(target) for target in journal.targets())
    if journal.root_run_id != desk.run_id:
        desk.log(f"run {journal.root_run_id} ended while it restored; {named} is left as it is: re-execute that run to go on with it")
        journal.keep()
        return
    if journal.notes.get(RECOVERED) or journal.notes.get(KEEP):
        journal.keep()
        return
    if left := take_down(desk, journal):
        target = journal.targets()[0]
        raise OperationFailed(
            f"not everything of the failed restore is gone in time: {'; '.join(left)}",
            f"kubectl get clusters.postgresql.cnpg.io,pods,pvc -n {target.namespace} -l cnpg.io/cluster={target.name}",
        )
    journal.release()


def _recovered(desk: Desk, restored: Database, journal: Journal) -> tuple[Object, dict[str, float]]:
    limits = restored.restore
    try:
        found = recovery.wait(
            desk,
            restored.namespace,
            restored.cluster,
            seconds=limits.recovery_seconds,
            failed_attempts=limits.failed_attempts,
            logs=recovery.Logs(),
            until=recovery.serves,
        )
    except recovery.RecoveryOverdue as problem:
        # it may still come up: that is for a person to judge
        journal.note(**{KEEP: True})
        command = f"kubectl describe clusters.postgresql.cnpg.io {restored.cluster} -n {restored.namespace}"
        raise OperationFailed(f"{problem} It was left as it is: re-execute this run from its failure to go on waiting.", command) from None
    journal.note(**{RECOVERED: True})
    desk.log(f"{restored.cluster} serves: " + ", ".join(f"{part} {seconds} s" for part, seconds in found.seconds.items()))
    return found.cluster, dict(found.seconds)


def _whole(desk: Desk, restored: Database) -> asking.Answer:
    """Whether every instance came up."""
    question = "every_instance_is_ready"

    def settled(body: Object | None) -> Object | None:
        if body is None:
            raise OperationFailed(f"Cluster {restored.namespace}/{restored.cluster} was deleted while its replicas were being made")
        return body if health.of(body).healthy else None

    try:
        body = desk.kube.wait(
            POSTGRES_CLUSTER,
            restored.cluster,
            restored.namespace,
            settled,
            timeout=restored.restore.whole_seconds,
            what=f"every instance of Cluster {restored.namespace}/{restored.cluster} to be ready",
        )
    except WaitTimeout as problem:
        return asking.Answer(question, "no", str(problem))
    return asking.Answer(question, "yes", health.of(body).reason, {"instances": int(body["status"]["readyInstances"])})
