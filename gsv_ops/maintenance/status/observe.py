"""Reads everything that the page shows, each part by itself: what cannot be read takes nothing else with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gsv_ops.kube.errors import KubeError
from gsv_ops.kube.protocol import Kube
from gsv_ops.kube.quoted import quoted
from gsv_ops.kube.resources import APPLICATION, INGRESS, NODE, NODE_METRICS, POD, POD_METRICS, POSTGRES_CLUSTER, SERVICE
from gsv_ops.maintenance.seen import Listed, Unknown, listed, those
from gsv_ops.maintenance.status.pods import Restarts, Trouble, restarts, troubles
from gsv_ops.platform.spec import StatusReport

LOG_BYTES = 16_384
LONGEST_LINE = 240


@dataclass(frozen=True)
class Seen:
    """The platform at one moment. `logs`: the last lines of a troubled pod's container, by (namespace, pod), or why there are none."""

    at: datetime
    nodes: Listed
    pods: Listed
    services: Listed
    ingresses: Listed
    applications: Listed
    databases: Listed
    node_usage: Listed
    pod_usage: Listed
    troubles: Sequence[Trouble] = ()
    restarts: Sequence[Restarts] = ()
    logs: dict[tuple[str, str], tuple[str, ...] | Unknown] = field(default_factory=dict)

    @property
    def parts(self) -> dict[str, Listed]:
        """Every part that is read, by what it is called."""
        return {
            "nodes": self.nodes,
            "pods": self.pods,
            "services": self.services,
            "ingresses": self.ingresses,
            "applications": self.applications,
            "databases": self.databases,
            "usage of nodes": self.node_usage,
            "usage of pods": self.pod_usage,
        }


def look(kube: Kube, settings: StatusReport, now: datetime) -> Seen:
    """All of it. Raises nothing of the cluster's: a part that could not be read says why."""
    pods = listed(kube, POD)
    settle = timedelta(seconds=settings.settle_seconds)
    wrong = troubles(those(pods), now, settle)
    return Seen(
        at=now,
        nodes=listed(kube, NODE),
        pods=pods,
        services=listed(kube, SERVICE),
        ingresses=listed(kube, INGRESS),
        applications=listed(kube, APPLICATION),
        databases=listed(kube, POSTGRES_CLUSTER),
        node_usage=listed(kube, NODE_METRICS),
        pod_usage=listed(kube, POD_METRICS),
        troubles=wrong,
        restarts=restarts(those(pods)),
        logs={(one.namespace, one.pod): _log(kube, one, settings.log_lines) for one in wrong[: settings.most_logs] if one.container},
    )


def _log(kube: Kube, trouble: Trouble, lines: int) -> tuple[str, ...] | Unknown:
    """The last lines of the attempt that crashed, else of the one that runs."""
    try:
        text = kube.logs(trouble.namespace, trouble.pod, trouble.container, tail=lines, previous=trouble.crashed, limit_bytes=LOG_BYTES)
    except KubeError as problem:
        return Unknown(str(problem))
    return tuple(quoted(line, LONGEST_LINE) for line in text.splitlines()[-lines:] if line.strip())
