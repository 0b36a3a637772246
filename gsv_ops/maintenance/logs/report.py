"""log_report: whose logs grow, how fast, whether the kubelet's rotation holds them, and where to change that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import Field

from gsv_ops.kube import objects
from gsv_ops.kube.errors import Forbidden, NotFound
from gsv_ops.kube.protocol import Object
from gsv_ops.maintenance.logs import observe
from gsv_ops.maintenance.logs.observe import ContainerLog, NodeLogs, Rotation, SeenNode, Simulated
from gsv_ops.maintenance.seen import Unknown
from gsv_ops.operations.operation import Check, Desk, Fact, OperationFailed, Params, Table
from gsv_ops.operations.reporting import Before, Found, Report
from gsv_ops.platform import spec

KNOWN, WITHIN, SHARE = "every_node_told", "no_container_is_over_its_limit", "logs_take_little_of_the_disk"
LEAST_HOURS = 1 / 60
LOKI = "not looked at here: how long Loki keeps what it collected is its own setting, and nothing of the files on the nodes"


class LogReport(Params):
    """What an operator may choose."""

    inside_containers: bool = Field(
        default=False,
        description="Also measure /var/log inside the first containers of the list, by running du in each that has it.",
    )


@dataclass(frozen=True)
class Row:
    """One container's logs. growth: bytes an hour since the last look; None: it was not there then."""

    log: ContainerLog
    growth: float | None
    inside: int | str = ""


def look(desk: Desk, params: LogReport, before: Before) -> Found:
    """Raises OperationFailed where the environment has not enabled it, or the identity for it is not to be had."""
    settings = desk.spec.reports.logs
    if not settings.enabled:
        raise OperationFailed(
            f"log_report is not enabled in environment {desk.environment!r}: it reads the nodes' kubelets as the ServiceAccount "
            f"{settings.service_account}, whose right (get nodes/proxy) is nearly root",
            "set reports.logs.enabled: true in platform.yaml for this environment, once the ServiceAccount is there",
        )
    seen = _as_account(desk, settings, observe.nodes(desk.kube))
    rows = growth([one for node in seen if isinstance(node, NodeLogs) for one in node.containers], before.left, desk.now())
    if params.inside_containers:
        entered = observe.enter(desk.kube, [row.log for row in rows][: settings.most_containers_entered], desk.monotonic)
        rows = [Row(row.log, row.growth, entered.get(row.log.key, "not looked at: it is none of the first")) for row in rows]
    return found(seen, rows, settings, desk.now())


def found(seen: Sequence[SeenNode], rows: Sequence[Row], settings: spec.LogReport, now: datetime) -> Found:
    """Pure: from what the nodes told."""
    told = [node for node in seen if isinstance(node, NodeLogs)]
    rotations = {node.node: node.rotation for node in told}
    unknown = [node.why for node in seen if isinstance(node, Unknown)]
    unknown += [f"rotation: {node.rotation.why}" for node in told if isinstance(node.rotation, Unknown)]
    fake = [node.node for node in seen if isinstance(node, Simulated)]
    total = sum(node.bytes for node in told)
    facts: dict[str, Fact] = {
        "containers' logs": Table([_shown(row, rotations.get(row.log.node)) for row in rows]),
        "rotation": Table([{"node": node.node, **_rotation(node.rotation)} for node in told]),
        "to change it": _where(settings.rotation_in_git),
        "Loki": LOKI,
    }
    if told:
        facts |= {"bytes of logs": total, "containers": len(rows), "largest in bytes": max((row.log.bytes for row in rows), default=0)}
        grown = [row.growth for row in rows if row.growth is not None]
        if grown:
            facts |= {"bytes an hour": round(sum(grown)), "fastest in bytes an hour": round(max(grown))}
        shares = [100 * node.bytes / node.disk for node in told if node.disk]
        if shares:
            facts["largest share of a disk in percent"] = round(max(shares), 3)
    said = f"{total} bytes in the logs of {len(rows)} containers on {len(told)} nodes"
    if fake:
        said += f"; simulated, so without logs: {', '.join(fake)}"
    if unknown:
        said += f"; not known: {'; '.join(unknown)}"
    leaves = {"at": now.isoformat(), "bytes": {row.log.key: row.log.bytes for row in rows}}
    return Found(said, facts, [_known(unknown, told), _within(rows, rotations, unknown), _share(told, settings, unknown)], leaves)


def growth(logs: Sequence[ContainerLog], left: Mapping[str, object] | None, now: datetime) -> list[Row]:
    """The fastest-growing first, then the largest. What was rotated away in between makes it look slower, never faster."""
    then = objects.parse_time(str(left["at"])) if left else None
    hours = max((now - then).total_seconds() / 3600, LEAST_HOURS) if then else 0.0
    known = left.get("bytes") if left else None
    sizes = known if isinstance(known, Mapping) else {}
    rows = [Row(one, (one.bytes - int(sizes[one.key])) / hours if hours and one.key in sizes else None) for one in logs]
    return sorted(rows, key=lambda row: (-(row.growth or 0.0), -row.log.bytes, row.log.name))


def _as_account(desk: Desk, settings: spec.LogReport, nodes: Sequence[Object]) -> list[SeenNode]:
    namespace = desk.spec.desk.lease_namespace
    try:
        with desk.kube.acting_as(namespace, settings.service_account) as kube:
            return [observe.look(kube, node) for node in nodes]
    except (Forbidden, NotFound) as problem:
        raise OperationFailed(
            f"log_report cannot act as ServiceAccount {settings.service_account} of namespace {namespace}: {problem}",
            "make the ServiceAccount, its ClusterRole (get nodes/proxy) and the Role that lets the desk ask its token; docs/guide.md, 10.4",
        ) from None


def _shown(row: Row, rotation: Rotation | Unknown | None) -> dict[str, str | int | float]:
    limit = rotation.limit if isinstance(rotation, Rotation) else 0
    return {
        "container": row.log.name,
        "bytes": row.log.bytes,
        "bytes an hour": round(row.growth) if row.growth is not None else "first seen",
        "percent of its limit": round(100 * row.log.bytes / limit, 1) if limit else "not known",
        "node": row.log.node,
        "its own files": row.log.written if row.log.written is not None else "not known",
        **({"below /var/log inside": row.inside} if row.inside != "" else {}),
    }


def _rotation(rotation: Rotation | Unknown) -> dict[str, str | int | float]:
    if isinstance(rotation, Unknown):
        return {"containerLogMaxSize": "not known", "containerLogMaxFiles": "not known", "most for a container": rotation.why}
    return {"containerLogMaxSize": rotation.size, "containerLogMaxFiles": rotation.files, "most for a container": rotation.limit}


def _where(kept: str | None) -> str:
    place = f"kept in {kept}" if kept else "platform.yaml does not say where it is kept (reports.logs.rotation_in_git)"
    return f"containerLogMaxSize and containerLogMaxFiles of the kubelets' configuration, {place}; a kubelet reads it when it starts"


def _known(unknown: Sequence[str], told: Sequence[NodeLogs]) -> Check:
    if unknown or not told:
        return Check(KNOWN, False, f"unknown: {'; '.join(unknown) or 'no node has a kubelet to ask'}")
    return Check(KNOWN, True, f"{len(told)} nodes told")


def _within(rows: Sequence[Row], rotations: Mapping[str, Rotation | Unknown], unknown: Sequence[str]) -> Check:
    over = []
    for row in rows:
        rotation = rotations[row.log.node]
        if isinstance(rotation, Rotation) and row.log.bytes > rotation.limit:
            over.append(f"{row.log.name} has {row.log.bytes} bytes, its limit is {rotation.limit}")
    if over:
        return Check(WITHIN, False, f"it writes faster than the kubelet rotates, or is not rotated: {'; '.join(over[:5])}")
    if unknown or not rows:
        return Check(WITHIN, False, f"unknown: {'; '.join(unknown) or 'no container was seen'}")
    return Check(WITHIN, True, f"all {len(rows)} containers are within what the kubelet keeps")


def _share(told: Sequence[NodeLogs], settings: spec.LogReport, unknown: Sequence[str]) -> Check:
    much = [
        f"{node.node}: {100 * node.bytes / node.disk:.1f} % of its disk"
        for node in told
        if node.disk and 100 * node.bytes > settings.most_percent_of_disk * node.disk
    ]
    if much:
        return Check(SHARE, False, f"{'; '.join(much)}; the most is {settings.most_percent_of_disk} %", "WARN")
    blind = [*unknown, *(f"{node.node} does not tell the size of its disk" for node in told if not node.disk)]
    if blind or not told:
        return Check(SHARE, False, f"unknown: {'; '.join(blind) or 'no node told'}", "WARN")
    return Check(SHARE, True, f"at most {max(100 * node.bytes / node.disk for node in told):.3f} % of a node's disk", "WARN")


LOG_REPORT = Report(
    name="log_report",
    description="""
What each container's log takes on its node and how fast it grows, the fastest first, beside the kubelet's rotation and where to change it.

**When to run:** when a node's disk fills; by itself at the times of platform.yaml. Off unless `reports.logs.enabled` is set for the
environment: it reads the kubelets as a ServiceAccount of its own, whose right is nearly root.
**What it changes:** nothing; the table stands on the asset `platform/logs`. With `inside_containers`, `du` runs in some containers.
**How to undo:** nothing to undo.
""",
    params=LogReport,
    look=look,
    checks={
        KNOWN: "Every node's kubelet told what its containers' logs take and when it rotates them.",
        WITHIN: "No container's logs take more than the kubelet should keep: containerLogMaxSize times containerLogMaxFiles.",
        SHARE: "The containers' logs take no large share of any node's disk.",
    },
)
