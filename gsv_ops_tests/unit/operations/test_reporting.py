"""What a look leaves is found by the next look at the same cluster, and by no other."""

from pathlib import Path

import pytest
from upath import UPath

from gsv_ops.operations import reporting
from gsv_ops.operations.records import DamagedRecord, Records


def test_only_the_same_cluster_and_report_find_it(tmp_path: Path) -> None:
    records = Records(UPath(tmp_path))
    assert reporting.left(records, "log_report", "c-1") is None
    reporting.leave(records, "log_report", "c-1", {"bytes": {"a": 1}})
    assert reporting.left(records, "log_report", "c-1") == {"bytes": {"a": 1}}
    assert reporting.left(records, "log_report", "c-2") is None
    assert reporting.left(records, "platform_status", "c-1") is None


def test_a_damaged_record_is_told_and_not_taken_for_none(tmp_path: Path) -> None:
    records = Records(UPath(tmp_path))
    reporting.leave(records, "log_report", "c-1", {})
    Path(str(records.path("reports/log_report"))).write_text("{")
    with pytest.raises(DamagedRecord, match="move it away to go on"):
        reporting.left(records, "log_report", "c-1")
