"""How plans, facts and failures look in Dagster: metadata tables, numbers that plot, and a link that applies what was read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import dagster as dg
import yaml

from gsv_ops.operations.journal import Journal
from gsv_ops.operations.operation import Check, Fact, Link, Markdown, Table, Timestamp, Verdict
from gsv_ops.operations.plan import Plan

LOCATION = "gsv_ops"
MOST_ROWS = 100
"""A run page cuts long tables; the whole plan is in the evidence."""


def metadata(facts: Mapping[str, Fact]) -> dict[str, dg.MetadataValue[Any]]:
    """Facts as Dagster shows them."""
    return {name: _value(fact) for name, fact in facts.items()}


def plan_metadata(plan: Plan, apply_url: str) -> dict[str, dg.MetadataValue[Any]]:
    """The plan as an operator reads it: the link first, then the counts, then the tables."""
    facts: dict[str, dg.MetadataValue[Any]] = {}
    if apply_url and not plan.refused:
        facts["apply this plan"] = dg.MetadataValue.url(apply_url)
    facts |= {
        "plan": dg.MetadataValue.text(plan.id),
        "environment": dg.MetadataValue.text(plan.environment),
        "cluster": dg.MetadataValue.text(plan.cluster_identity),
        "actions": dg.MetadataValue.int(len(plan.actions)),
        "kept": dg.MetadataValue.int(len(plan.kept)),
        "refused": dg.MetadataValue.int(len(plan.refused)),
    }
    facts |= {title: _value(_told(what)) for title, what in plan.shown.items()}
    tables = {
        "refusals": [{"target": str(r.target), "why": r.reason} for r in plan.refused],
        "what would be done": [{"do": a.verb, "target": str(a.target), "why": a.reason} for a in plan.actions],
        "what is left alone": [{"target": str(k.target), "why": k.reason} for k in plan.kept],
        "relied on": [{"fact": name, "value": _short(value)} for name, value in sorted(plan.facts.items())],
    }
    for name, rows in tables.items():
        if rows:
            facts[name] = _value(Table(rows[:MOST_ROWS]))
    return facts


def outcome_metadata(
    plan: Plan, journal: Journal, verdict: Verdict, look: Sequence[str], evidence: str
) -> dict[str, dg.MetadataValue[Any]]:
    """What a run did, as an operator reads it: in words with the kubectl lines that show it, as numbers that are plotted, as a table."""
    done = [outcome for outcome in journal.outcomes if outcome.result == "done"]
    rows = [{"do": o.verb, "target": o.target, "result": o.result, "detail": o.detail} for o in journal.outcomes]
    facts: dict[str, Fact] = {
        "summary": Markdown(_summary(plan, verdict, look)),
        "verdict": verdict.word or verdict.status,
        "reason": verdict.reason,
        "changed": len(done),
        "left alone": len(plan.kept),
        **verdict.facts,
        "what was done": Table(rows[:MOST_ROWS]),
        "plan": plan.id,
        "environment": plan.environment,
        "cluster": plan.cluster_identity,
    }
    return {**metadata(facts), "evidence": dg.MetadataValue.path(evidence)}


def _summary(plan: Plan, verdict: Verdict, look: Sequence[str]) -> str:
    lines = "\n".join(look)
    shown = f"\n\nTo look at it without the desk (this only reads):\n\n```bash\n{lines}\n```" if look else ""
    return f"**{verdict.word or verdict.status}**: {verdict.reason}\n\nPlan `{plan.id}` in {plan.environment}.{shown}"


def apply_url(job: str, config: Mapping[str, Any]) -> str:
    """The launchpad of `job`, filled in."""
    return f"/locations/{LOCATION}/jobs/{job}/playground/setup?config={quote(yaml.safe_dump(dict(config), sort_keys=False))}"


def check_result(check: Check, key: dg.AssetKey) -> dg.AssetCheckResult:
    """A check's evaluation on the asset."""
    return dg.AssetCheckResult(
        passed=check.passed,
        asset_key=key,
        check_name=check.name,
        severity=dg.AssetCheckSeverity[check.severity],
        description=check.description,
        metadata=metadata(check.metadata),
    )


def evaluation(result: dg.AssetCheckResult) -> dg.AssetCheckEvaluation:
    """A check's result as the event that a sensor can report without a run, and a step of a check that is another's."""
    assert result.asset_key is not None
    assert result.check_name is not None
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=bool(result.passed),
        severity=result.severity,
        description=result.description,
        metadata=dict(result.metadata),
    )


def _value(fact: Fact) -> dg.MetadataValue[Any]:
    match fact:
        case bool():
            return dg.MetadataValue.bool(fact)
        case int():
            return dg.MetadataValue.int(fact)
        case float():
            return dg.MetadataValue.float(fact)
        case Markdown():
            return dg.MetadataValue.md(fact.text)
        case Link():
            return dg.MetadataValue.url(fact.url)
        case Timestamp():
            return dg.MetadataValue.timestamp(fact.at)
        case Table(rows=[]):
            return dg.MetadataValue.text("none")
        case Table():
            return dg.MetadataValue.table([dg.TableRecord(dict(row)) for row in fact.rows])
        case str():
            return dg.MetadataValue.text(fact)


def _told(what: Any) -> Fact:
    """What a plan shows beside its actions, as JSON has it."""
    if isinstance(what, (list, tuple)):
        return Table(list(what)[:MOST_ROWS])
    if isinstance(what, str) and "\n" in what:
        return Markdown(what)
    fact: Fact = what
    return fact


def _short(value: object) -> str:
    text = value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10_000).strip().removesuffix("\n...")
    return text if len(text) <= 200 else text[:197] + "..."
