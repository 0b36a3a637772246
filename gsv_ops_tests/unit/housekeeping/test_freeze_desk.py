"""What the launchpad of freeze_desk and unfreeze_desk takes, and what it says of the rest."""

from typing import Any

import dagster as dg
import pytest

from gsv_ops.definitions import defs

ADA = {"reason": "storage is moved", "who": "ada"}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"who": "ada"}, "reason is empty"),
        ({"reason": "x", "who": " "}, "who is empty"),
        ({**ADA, "until": "2026-11-24T10:00:00"}, "has no offset"),
        ({**ADA, "until": "soon"}, "'soon' is no time: expected RFC 3339"),
        ({**ADA, "minutes": 0}, "greater than or equal to 1"),
        ({**ADA, "allow": ["restore database"]}, "'restore database' is no operation's name"),
    ],
)
def test_a_launchpad_that_says_too_little_launches_nothing(config: dict[str, Any], said: str) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="freeze_desk was not launched") as refused:
        dg.validate_run_config(defs.resolve_job_def("freeze_desk"), config)
    assert said in str(refused.value)


def test_a_click_freezes_for_an_hour_and_lets_nothing_through() -> None:
    config = dg.validate_run_config(defs.resolve_job_def("freeze_desk"), ADA)
    assert config is not None
    assert config["ops"]["apply"]["config"] == {
        "mode": "apply",
        "plan_id": "",
        "params": {**ADA, "minutes": 60, "until": "", "allow": []},
    }


def test_unfreezing_says_who() -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="who is empty"):
        dg.validate_run_config(defs.resolve_job_def("unfreeze_desk"), {})
