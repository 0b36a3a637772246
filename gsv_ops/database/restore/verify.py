"""The verdict on a restore: good only when every question about it was answered with yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gsv_ops.database.backup.plan import database_of
from gsv_ops.database.lsn import format_lsn
from gsv_ops.database.restore.asking import ENDED
from gsv_ops.kube import objects
from gsv_ops.kube.resources import POSTGRES_CLUSTER
from gsv_ops.operations import apply
from gsv_ops.operations.operation import Desk, Fact, Markdown, Table, Verdict
from gsv_ops.operations.plan import Plan


def verify(desk: Desk, plan: Plan, results: Mapping[str, Any]) -> Verdict:
    """The verdict on the restore that `results` describes; the Cluster stays either way."""
    database = database_of(desk.spec, plan.params)
    name, answers = results["cluster"], results["answers"]
    live = desk.kube.get(POSTGRES_CLUSTER, name, database.namespace)
    facts: dict[str, Fact] = {
        "cluster": name,
        "restored to": plan.facts["goal"],
        "base backup": plan.facts["base backup"],
        "answers": Table([{"asked": a["question"], "answer": a["answer"], "found": a["found"]} for a in answers]),
    }
    facts |= {f"{part} in seconds": float(seconds) for part, seconds in results["timings"].items()}
    for answer in answers:
        facts |= answer["facts"]
    if isinstance(ended := facts.pop(ENDED, None), int):
        facts["ended at"] = format_lsn(ended)
    facts["open a session"] = Markdown(f"`kubectl exec -it {name}-1 -n {database.namespace} -- psql -d {database.database}`")
    take_down = f"kubectl delete clusters.postgresql.cnpg.io {name} -n {database.namespace}"
    facts["take it down"] = Markdown(f"`{take_down}`: its volumes go with it")
    if objects.labels(live).get(apply.ROOT_RUN_LABEL) != desk.run_id:
        return Verdict("bad", f"Cluster {name} is not the one that this run made: it was made anew by somebody else", facts)
    stays = f"Cluster {name} is restored and stays"
    wrong = [f"{a['question']}: {a['found']}" for a in answers if a["answer"] == "no"]
    unknown = [f"{a['question']}: {a['found']}" for a in answers if a["answer"] not in ("yes", "no")]
    if wrong:
        return Verdict("bad", f"{stays}, but it is not as it should be: {'; '.join([*wrong, *unknown])}", facts)
    if unknown:
        return Verdict("inconclusive", f"{stays}; what could not be told: {'; '.join(unknown)}", facts)
    return Verdict("good", f"{stays}; its goal was {plan.facts['goal']}, and all {len(answers)} questions were answered with yes", facts)
