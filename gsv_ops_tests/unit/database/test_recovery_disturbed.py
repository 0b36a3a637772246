"""A recovery that the node or the kernel ended says nothing of the backup: inconclusive, never failed."""

from typing import Any

import pytest

from gsv_ops.database import recovery


def pod(reason: str = "", terminated: str = "", deleting: bool = False) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "p"}
    if deleting:
        metadata["deletionTimestamp"] = "2026-11-24T12:00:00Z"
    state = {"terminated": {"reason": terminated}} if terminated else {"running": {}}
    return {"metadata": metadata, "status": {"reason": reason, "containerStatuses": [{"name": "full-recovery", "state": state}]}}


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (pod("Evicted"), "pod p: Evicted"),
        (pod("NodeLost"), "pod p: NodeLost"),
        (pod(terminated="OOMKilled"), "pod p, container full-recovery: OOMKilled"),
        (pod(deleting=True), "pod p: it is being deleted"),
        (pod(terminated="Error"), ""),
        (pod(), ""),
    ],
)
def test_what_ends_a_pod_from_outside_is_told(found: dict[str, Any], told: str) -> None:
    assert recovery._disturbed([found]) == told
