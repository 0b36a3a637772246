"""The reports' schedules: the kubelets are read by nobody's clock where the environment has not enabled it."""

import dagster as dg
import pytest

from gsv_ops.maintenance.schedules import schedules


def tick(name: str) -> dg.RunRequest | dg.SkipReason | None:
    (schedule,) = (one for one in schedules() if one.name == name)
    with dg.DagsterInstance.ephemeral() as instance:
        data = schedule.evaluate_tick(dg.build_schedule_context(instance))
    return data.run_requests[0] if data.run_requests else dg.SkipReason(data.skip_message)


def test_logs_are_reported_where_that_is_enabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSV_ENVIRONMENT", "sandbox")
    assert isinstance(tick("report_logs_daily"), dg.RunRequest)
    monkeypatch.setenv("GSV_ENVIRONMENT", "prod")
    skipped = tick("report_logs_daily")
    assert isinstance(skipped, dg.SkipReason)
    assert "reports.logs.enabled" in str(skipped.skip_message)


@pytest.mark.parametrize("name", ["refresh_platform_status", "find_leftovers_weekly"])
def test_the_others_are_always_made(name: str) -> None:
    assert isinstance(tick(name), dg.RunRequest)
