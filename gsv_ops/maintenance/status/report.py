"""platform_status: the platform on one page, observed by a schedule, with what is not known told as that."""

from __future__ import annotations

from collections.abc import Sequence

from gsv_ops.kube import health, objects
from gsv_ops.maintenance.seen import Absent, Listed, Unknown, those
from gsv_ops.maintenance.status import observe
from gsv_ops.maintenance.status.capacity import CPU, MEMORY, ZERO, percent
from gsv_ops.maintenance.status.observe import Seen
from gsv_ops.maintenance.status.page import application_is_well, node_is_ready, page, per_node, simulated
from gsv_ops.operations.operation import Check, Desk, Fact, Markdown, Params, Severity
from gsv_ops.operations.reporting import Before, Found, LastRun, Report

KNOWN, NODES, PODS = "everything_could_be_read", "nodes_are_ready", "pods_are_well"
DATABASES, APPLICATIONS = "databases_are_healthy", "applications_are_healthy"
MOST_NAMED = 5


class PlatformStatus(Params):
    """Nothing to choose."""


def look(desk: Desk, params: PlatformStatus, before: Before) -> Found:
    """The page, its numbers, and the platform's good conditions."""
    return found(observe.look(desk.kube, desk.spec.reports.status, desk.now()), before.runs)


def found(seen: Seen, runs: Sequence[LastRun]) -> Found:
    """Pure: from what was seen."""
    checks = [_known(seen), _nodes(seen), _pods(seen), _databases(seen), _applications(seen)]
    wrong = [check.description for check in checks if not check.passed]
    return Found("; ".join(wrong) or "all that was looked at is well", {"page": Markdown(page(seen, runs)), **numbers(seen)}, checks)


def numbers(seen: Seen) -> dict[str, Fact]:
    """What is plotted; a number that is not known is left out, and never 0."""
    facts: dict[str, Fact] = {"parts not known": sum(isinstance(part, Unknown) for part in seen.parts.values())}
    if isinstance(seen.nodes, tuple):
        facts |= {"nodes": len(seen.nodes), "nodes ready": sum(map(node_is_ready, seen.nodes))}
    if isinstance(seen.pods, tuple):
        facts |= {
            "pods": len(seen.pods),
            "pods not well": sum(not one.passing for one in seen.troubles),
            "pods on their way": sum(one.passing for one in seen.troubles),
            "restarts": sum(one.count for one in seen.restarts),
        }
    if isinstance(seen.nodes, tuple) and isinstance(seen.pods, tuple):
        nodes = per_node(seen)
        for name, word in ((CPU, "processor"), (MEMORY, "memory")):
            whole = sum((one.allocatable.get(name, ZERO) for one in nodes), ZERO)
            facts[f"{word} asked for in percent"] = percent(sum((one.requested.get(name, ZERO) for one in nodes), ZERO), whole)
            if nodes and all(one.used is not None and name in one.used for one in nodes):
                facts[f"{word} used in percent"] = percent(sum((one.used[name] for one in nodes if one.used), ZERO), whole)
    return facts


def _known(seen: Seen) -> Check:
    unknown = [f"{name}: {part.why}" for name, part in seen.parts.items() if isinstance(part, Unknown)]
    unknown += [f"log of {namespace}/{pod}: {lines.why}" for (namespace, pod), lines in seen.logs.items() if isinstance(lines, Unknown)]
    if unknown:
        return Check(KNOWN, False, f"unknown: {_named(unknown)}")
    absent = [f"{name} ({part.why})" for name, part in seen.parts.items() if isinstance(part, Absent)]
    return Check(KNOWN, True, f"all was read; not there: {', '.join(absent)}" if absent else "all was read")


def _nodes(seen: Seen) -> Check:
    if unseen := _unseen(NODES, seen.nodes):
        return unseen
    bad = [objects.name(node) for node in those(seen.nodes) if not node_is_ready(node)]
    fake = [objects.name(node) for node in those(seen.nodes) if simulated(node)]
    if not those(seen.nodes) or bad:
        return Check(NODES, False, f"not ready or under pressure: {_named(bad)}" if bad else "there is no node")
    said = f"{len(those(seen.nodes)) - len(fake)} nodes are ready"
    return Check(NODES, True, f"{said}; simulated and not judged: {_named(fake)}" if fake else said)


def _pods(seen: Seen) -> Check:
    if unseen := _unseen(PODS, seen.pods):
        return unseen
    bad = [f"{one.namespace}/{one.pod}: {one.reason}" for one in seen.troubles if not one.passing]
    if bad:
        return Check(PODS, False, f"{len(bad)} pods are not well: {_named(bad)}", "WARN")
    passing = sum(one.passing for one in seen.troubles)
    return Check(
        PODS, True, f"{len(those(seen.pods))} pods, {passing} on their way" if passing else f"{len(those(seen.pods))} pods are well", "WARN"
    )


def _databases(seen: Seen) -> Check:
    """What is being made or moved is a warning: a proof's scratch cluster comes up so, and a switchover goes so."""
    if unseen := _unseen(DATABASES, seen.databases):
        return unseen
    verdicts = {f"{objects.namespace(one)}/{objects.name(one)}": health.of(one) for one in those(seen.databases)}
    bad = {name: one for name, one in verdicts.items() if not one.healthy}
    if not bad:
        return Check(DATABASES, True, f"{len(verdicts)} databases are healthy")
    on_the_way = all(one.status == "Progressing" for one in bad.values())
    return Check(DATABASES, False, _named([f"{name}: {one.reason}" for name, one in bad.items()]), "WARN" if on_the_way else "ERROR")


def _applications(seen: Seen) -> Check:
    if unseen := _unseen(APPLICATIONS, seen.applications, "WARN"):
        return unseen
    bad = [objects.name(one) for one in those(seen.applications) if not application_is_well(one)]
    said = f"not synced and healthy: {_named(bad)}" if bad else f"{len(those(seen.applications))} applications are synced and healthy"
    return Check(APPLICATIONS, not bad, said, "WARN")


def _unseen(name: str, part: Listed, severity: Severity = "ERROR") -> Check | None:
    """Unknown is never good; what is not installed cannot be ill."""
    if isinstance(part, Unknown):
        return Check(name, False, f"unknown: {part.why}", severity)
    return Check(name, True, f"none: {part.why}", severity) if isinstance(part, Absent) else None


def _named(several: Sequence[str]) -> str:
    rest = f"; and {len(several) - MOST_NAMED} more" if len(several) > MOST_NAMED else ""
    return "; ".join(several[:MOST_NAMED]) + rest


PLATFORM_STATUS = Report(
    name="platform_status",
    description="""
The platform on one page: nodes, what is asked for and used, pods that are not well with their reason and last log lines, restarts,
databases, load balancers, ingresses, applications, and the last run of every job.

**When to run:** whenever you want to know how things are; by itself at the times of platform.yaml.
**What it changes:** nothing; the page stands on the asset `platform/status`.
**How to undo:** nothing to undo.
""",
    params=PlatformStatus,
    look=look,
    checks={
        KNOWN: "Nothing that the page shows was kept from the desk, and everybody who was asked answered.",
        NODES: "Every node is ready, not cordoned, and under no pressure.",
        PODS: "Every pod is ready or has run to its end; one that is starting or ending has its time.",
        DATABASES: "Every CloudNativePG Cluster is healthy by phase, condition, instances and primary.",
        APPLICATIONS: "Every Argo CD application is synced and healthy.",
    },
)
