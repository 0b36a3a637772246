"""What a HorizontalPodAutoscaler says, as far as the desk sets it: bounds and metrics. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gsv_ops.kube import objects
from gsv_ops.kube.objects import at
from gsv_ops.kube.protocol import Object

METRICS = {"cpu_percent": "cpu", "memory_percent": "memory"}
API_MINIMUM = 1  # the API server's own default of minReplicas


def spec(body: Object | None) -> dict[str, Any]:
    """What this operation is about, as it stands."""
    if body is None:
        return {"minReplicas": API_MINIMUM, "maxReplicas": 0, "metrics": []}
    found = {key: at(body, "spec", key) for key in ("minReplicas", "maxReplicas", "metrics")}
    return {**found, "minReplicas": found["minReplicas"] or API_MINIMUM, "metrics": found["metrics"] or []}


def measures(body: Object | None) -> str | None:
    """What it says once it can scale, or why it need not."""
    active = objects.condition(body or {}, "ScalingActive")
    if active is None:
        return None
    return str(active) if active.true or active.reason == "ScalingDisabled" else None


def utilisation(metrics: Sequence[Object], key: str) -> int | None:
    found = (at(m, "resource", "target", "averageUtilization") for m in metrics if at(m, "resource", "name") == key)
    return next((int(value) for value in found if value), None)


def shown(spec: Mapping[str, Any]) -> str:
    loads = [f"{key} at {value} %" for key in METRICS.values() if (value := utilisation(spec["metrics"], key))]
    others = len(spec["metrics"]) - len(loads)
    loads += [f"{others} other metrics"] if others else []
    return f"{spec['minReplicas']} to {spec['maxReplicas']} pods by {', '.join(loads) or 'no metric'}"
