"""A recovery that the node, the kernel, a full volume or an absent store ended says nothing of the backup: inconclusive, never failed."""

from typing import Any

import pytest

from gsv_ops.database import disturbed


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
    assert disturbed.by_the_node([found]) == told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("tar: base/16384/2619: Cannot write: No space left on device", "the scratch volume, or the disk below it, is full"),
        ('could not extend file "base/1/2": No space left on device', "the scratch volume, or the disk below it, is full"),
        ('Could not connect to the endpoint URL: "http://10.88.0.1:9300/cmp-postgres"', "the object store did not answer"),
        ("An error occurred (SignatureDoesNotMatch) when calling the ListObjectsV2 operation", "the object store refused the credentials"),
        ("An error occurred (403) when calling the HeadBucket operation: Forbidden", "the object store refused the credentials"),
        ("recovery ended before configured recovery target was reached", ""),
        ("An error occurred (404) when calling the HeadObject operation: Not Found", ""),
        ("WAL file 000000010000000000000403 for server cmp-postgres does not exists", ""),
        ("could not open directory: Permission denied", ""),
    ],
)
def test_what_it_stood_on_is_told_with_the_line_that_says_so(line: str, told: str) -> None:
    found = disturbed.by_its_surroundings(["Restore failed", line])
    assert found.startswith(told)
    assert (f"({line})" in found) == bool(told)
