"""The platform on one page: pure, from what was seen to Markdown. What is not known says so, with the reason; nothing is taken for zero."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gsv_ops.kube import health, objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance.seen import Absent, Listed, Unknown, those
from gsv_ops.maintenance.status import capacity
from gsv_ops.maintenance.status.capacity import CPU, MEMORY, Capacity, cores, percent, size
from gsv_ops.maintenance.status.observe import Seen
from gsv_ops.operations.reporting import LastRun

MOST_ROWS = 30
PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")
SIMULATED = "kwok.x-k8s.io/node"

Row = Sequence[str]


def page(seen: Seen, runs: Sequence[LastRun]) -> str:
    """The whole page."""
    sections = [
        ("Nodes", _part(seen.nodes, lambda nodes: _table(("node", "is", "conditions", "kubelet"), map(_node, nodes)))),
        ("Allocated and used", _allocated(seen)),
        ("Pods that are not well", _part(seen.pods, lambda _: _troubles(seen))),
        ("Restarts", _part(seen.pods, lambda _: _restarts(seen))),
        ("What uses most memory", _part(seen.pod_usage, _heaviest)),
        ("Databases", _part(seen.databases, lambda every: _table(("database", "is", "why"), map(_judged, every)))),
        ("Load balancers", _part(seen.services, _balancers)),
        ("Ingresses", _part(seen.ingresses, lambda every: _table(("ingress", "class", "hosts", "address"), map(_ingress, every)))),
        (
            "Applications",
            _part(seen.applications, lambda every: _table(("application", "sync", "health", "revision"), map(_application, every))),
        ),
        ("Last runs", _runs(runs)),
    ]
    return "\n\n".join(f"## {title}\n\n{text}" for title, text in sections) + "\n"


def node_is_ready(node: Object) -> bool:
    """Ready, not cordoned, and under no pressure."""
    return health.of(node).healthy and not _pressures(node)


def simulated(node: Object) -> bool:
    return objects.annotations(node).get(SIMULATED) == "fake"


def per_node(seen: Seen) -> list[Capacity]:
    usage = seen.node_usage if isinstance(seen.node_usage, tuple) else None
    return capacity.capacities(those(seen.nodes), those(seen.pods), usage)


def application_is_well(body: Object) -> bool:
    return (at(body, "status", "sync", "status"), at(body, "status", "health", "status")) == ("Synced", "Healthy")


def _part(part: Listed, show: Callable[[tuple[Object, ...]], str]) -> str:
    match part:
        case Absent(why):
            return f"*None: {why}.*"
        case Unknown(why):
            return f"**Unknown:** {_cell(why)}"
        case ():
            return "*None.*"
        case _:
            return show(part)


def _node(node: Object) -> Row:
    verdict = health.of(node)
    word = "simulated" if simulated(node) else verdict.status
    wrong = _pressures(node)
    said = "; ".join([*wrong, *([] if verdict.healthy else [verdict.reason])]) or "none of concern"
    return (
        objects.name(node),
        word if not wrong else f"{word}, under pressure",
        said,
        str(at(node, "status", "nodeInfo", "kubeletVersion", default="?")),
    )


def _pressures(node: Object) -> list[str]:
    """Conditions that are not well when they hold; of which the kubelet says nothing more (Unknown), too."""
    return [str(one) for one in objects.conditions(node) if one.type in PRESSURES and one.status != "False"]


def _allocated(seen: Seen) -> str:
    unread = [
        f"**Unknown:** {name}: {_cell(part.why)}"
        for name, part in (("nodes", seen.nodes), ("pods", seen.pods))
        if isinstance(part, Unknown)
    ]
    if unread:
        return "\n\n".join(unread)
    rows = [
        (
            one.node,
            *(
                f"{show(one.requested.get(name, capacity.ZERO))} of {show(one.allocatable.get(name, capacity.ZERO))}"
                f" ({percent(one.requested.get(name, capacity.ZERO), one.allocatable.get(name, capacity.ZERO))} %)"
                for name, show in ((CPU, cores), (MEMORY, size))
            ),
            *(show(one.used[name]) if one.used and name in one.used else "not known" for name, show in ((CPU, cores), (MEMORY, size))),
            f"{one.pods} of {one.most_pods}",
        )
        for one in per_node(seen)
    ]
    table = _table(("node", "cores asked for", "memory asked for", "cores used", "memory used", "pods"), rows)
    if isinstance(seen.node_usage, Absent):
        return f"{table}\n\n*Used is not known: {seen.node_usage.why}.*"
    if isinstance(seen.node_usage, Unknown):
        return f"{table}\n\n**Used is unknown:** {_cell(seen.node_usage.why)}"
    return table


def _troubles(seen: Seen) -> str:
    if not seen.troubles:
        return "*None: every pod is ready, or has run to its end.*"
    rows = [
        (
            f"{one.namespace}/{one.pod}",
            f"{one.phase}, on its way" if one.passing else one.phase,
            one.reason,
            str(one.restarts),
            f"{one.since:%Y-%m-%d %H:%M} UTC" if one.since else "not known",
        )
        for one in seen.troubles
    ]
    logs = []
    for (namespace, pod), lines in seen.logs.items():
        if isinstance(lines, Unknown):
            logs.append(f"Log of {namespace}/{pod}: **unknown:** {_cell(lines.why)}")
        elif lines:
            logs.append(f"The last lines of {namespace}/{pod}:\n\n" + "\n".join(f"    {line}" for line in lines))
        else:
            logs.append(f"{namespace}/{pod} wrote nothing.")
    return "\n\n".join([_table(("pod", "phase", "reason", "restarts", "since"), rows), *logs])


def _restarts(seen: Seen) -> str:
    if not seen.restarts:
        return "*None.*"
    rows = (
        (f"{one.namespace}/{one.pod}", one.container, str(one.count), one.last, f"{one.at:%Y-%m-%d %H:%M} UTC" if one.at else "not known")
        for one in seen.restarts
    )
    return _table(("pod", "container", "restarts", "ended last by", "at"), rows)


def _heaviest(readings: tuple[Object, ...]) -> str:
    used = [(f"{objects.namespace(one)}/{objects.name(one)}", capacity.used_by(one)) for one in readings]
    used.sort(key=lambda one: -one[1].get(MEMORY, capacity.ZERO))
    return _table(
        ("pod", "memory", "cores"),
        ((name, size(amounts.get(MEMORY, capacity.ZERO)), cores(amounts.get(CPU, capacity.ZERO))) for name, amounts in used),
        most=15,
    )


def _judged(body: Object) -> Row:
    verdict = health.of(body)
    return f"{objects.namespace(body)}/{objects.name(body)}", verdict.status, verdict.reason


def _balancers(services: tuple[Object, ...]) -> str:
    rows = []
    for body in services:
        if at(body, "spec", "type") == "LoadBalancer":
            ports = ", ".join(str(port.get("port")) for port in at(body, "spec", "ports", default=[]))
            rows.append((f"{objects.namespace(body)}/{objects.name(body)}", health.of(body).reason, ports))
    return _table(("service", "address", "ports"), rows) if rows else "*None.*"


def _ingress(body: Object) -> Row:
    hosts = ", ".join(str(rule.get("host") or "any") for rule in at(body, "spec", "rules", default=[])) or "any"
    addresses = [str(one.get("ip") or one.get("hostname")) for one in at(body, "status", "loadBalancer", "ingress", default=[])]
    class_name = str(at(body, "spec", "ingressClassName", default="the default"))
    return f"{objects.namespace(body)}/{objects.name(body)}", class_name, hosts, ", ".join(addresses) or "pending"


def _application(body: Object) -> Row:
    status = [
        str(at(body, "status", *path, default="not known")) for path in (("sync", "status"), ("health", "status"), ("sync", "revision"))
    ]
    return f"{objects.namespace(body)}/{objects.name(body)}", status[0], status[1], status[2][:12]


def _runs(runs: Sequence[LastRun]) -> str:
    if not runs:
        return "*None yet.*"
    return _table(
        ("job", "last run", "at"),
        ((one.job, f"[{one.status.lower()}]({one.link})", f"{one.at:%Y-%m-%d %H:%M} UTC") for one in runs),
        most=100,
    )


def _table(head: Row, rows: Iterable[Row], most: int = MOST_ROWS) -> str:
    every = list(rows)
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {' | '.join(map(_cell, row))} |" for row in every[:most])]
    more = f"\n\n*and {len(every) - most} more*" if len(every) > most else ""
    return "\n".join(lines) + more


def _cell(text: str) -> str:
    """What may stand in one cell: one line, and no other column's bar; nothing of a pod's own words becomes markup."""
    plain = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return plain if len(plain) <= 300 else plain[:297] + "..."
