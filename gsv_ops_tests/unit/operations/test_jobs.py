"""What an operator can launch: a configuration that is checked before a run exists, an asset that stands only for what is so."""

from typing import Any

import dagster as dg
import pytest

from gsv_ops.operations.operation import Check, Verdict
from gsv_ops_tests.unit.operations import toy
from gsv_ops_tests.unit.operations.conftest import Toys
from gsv_ops_tests.unit.operations.toy import WORLD


def checks(toys: Toys) -> dict[str, Any]:
    """The newest result of each check of the asset, as its page shows them."""
    keys = [dg.AssetCheckKey(toy.KEY, name) for name in toy.CHECKS]
    found = toys.instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    return {key.name: record.status.value for key, record in found.items()}


def fields_of(job: dg.JobDefinition) -> dict[str, Any]:
    """The launchpad's fields."""
    return dict(job.run_config_schema.config_type.fields)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"size": 17}, r"make_thing was not launched\. size: Input should be less than or equal to 9"),
        ({"size": 0, "label": None}, r"size: Input should be greater than or equal to 1; label: Input should be a valid string"),
        ({"mode": "aply"}, "aply"),
        ({"colour": "red"}, 'Received unexpected config entry "colour"'),
        ({"size": "many"}, "many"),
        ({"label": {"env": "HOME"}}, "Invalid scalar at path root:label"),
        ({"size": {"env": "HOME"}}, "Invalid scalar at path root:size"),
        ({"plan_id": {"env": "HOME"}}, "Invalid scalar at path root:plan_id"),
    ],
)
def test_what_cannot_be_meant_makes_no_run_and_says_what_was_expected(
    toys: Toys, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], message: str
) -> None:
    monkeypatch.setenv("HOME", "canary-7f3a")
    with pytest.raises(dg.DagsterInvalidConfigError, match=message) as caught:
        toys.run(toy.make_thing, **config)
    assert "canary-7f3a" not in str(caught.value)
    assert toys.instance.get_runs_count() == 0


def test_the_assets_configuration_is_checked_in_the_same_way(toys: Toys) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match=r"paint_thing was not launched\. size: Input should be less than"):
        toys.run(toy.paint_thing, ops={"toys__thing": {"config": {"size": 17}}})
    assert toys.instance.get_runs_count() == 0


def test_the_fields_keep_their_defaults_and_descriptions() -> None:
    fields = fields_of(toy.make_thing())
    assert {name: (field.default_value, field.description) for name, field in fields.items()} == {
        "size": (1, "How large."),
        "label": ("plain", "What stands on it."),
        "mode": ("plan", "plan: show what would be done and change nothing. apply: do it."),
        "plan_id": ("", "Apply exactly this plan, and nothing if the cluster has moved on. Empty: plan and apply now."),
    }
    assert set(fields_of(toy.plan_paint_thing())) == {"size", "label"}


def test_an_asset_is_materialised_when_it_is_so(toys: Toys) -> None:
    WORLD.verdict = Verdict("good", "painted", {"litres": 1.5}, toy.good_and_bad(pretty=True))
    ran = toys.run(toy.paint_thing)
    assert ran.success
    [made] = ran.of("ASSET_MATERIALIZATION")
    shown = made.materialization.metadata
    assert made.materialization.asset_key == toy.KEY
    assert (shown["verdict"].value, shown["reason"].value, shown["litres"].value) == ("good", "painted", 1.5)
    assert shown["cluster"].value == toy.HERE
    name = f"thing-{ran.run_id[:8]}"
    assert "**good**: painted" in str(shown["summary"].value)
    assert f"```bash\nkubectl describe configmaps -n cmp {name}\n```" in str(shown["summary"].value)
    [row] = shown["what was done"].records  # type: ignore[union-attr]
    assert dict(row.data) == {"do": "create", "target": f"ConfigMap cmp/{name}", "result": "done", "detail": ""}
    assert (shown["changed"].value, shown["left alone"].value) == (1, 0), "they are plotted"
    assert checks(toys) == {"it_is_there": "SUCCEEDED", "it_is_pretty": "SUCCEEDED"}


def test_a_warning_beside_a_good_verdict_is_kept(toys: Toys) -> None:
    WORLD.verdict = Verdict("good", "painted", checks=toy.good_and_bad(pretty=False))
    ran = toys.run(toy.paint_thing)
    assert ran.success
    assert len(ran.of("ASSET_MATERIALIZATION")) == 1
    assert checks(toys) == {"it_is_there": "SUCCEEDED", "it_is_pretty": "FAILED"}
    [_, told] = ran.of("ASSET_CHECK_EVALUATION")
    assert (told.severity, told.metadata["beauty"].value) == (dg.AssetCheckSeverity.WARN, 7)


@pytest.mark.parametrize("status", ["good", "bad"])
def test_a_check_that_is_judged_on_a_schedule_is_told_by_the_asset_at_once_too(toys: Toys, status: str) -> None:
    WORLD.verdict = Verdict(status, "looked at", checks=[*toy.good_and_bad(pretty=True), Check("it_lasts", status == "good", "seen")])  # type: ignore[arg-type]
    ran = toys.run(toy.paint_thing)
    assert ran.success == (status == "good")
    told = {e.check_name: e.passed for e in ran.of("ASSET_CHECK_EVALUATION")}
    assert told == {"it_is_there": True, "it_is_pretty": True, "it_lasts": status == "good"}
    key = dg.AssetCheckKey(toy.KEY, "it_lasts")
    kept = toys.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert kept.status.value == ("SUCCEEDED" if status == "good" else "FAILED")


@pytest.mark.parametrize("status", ["bad", "inconclusive"])
def test_what_is_not_so_is_never_materialised_and_its_checks_say_why(toys: Toys, status: str) -> None:
    WORLD.verdict = Verdict(status, "it is not", {"litres": 0.5}, toy.good_and_bad(pretty=False))  # type: ignore[arg-type]
    ran = toys.run(toy.paint_thing)
    assert ran.failure.startswith(f"{status}: it is not\n")
    assert ran.of("ASSET_MATERIALIZATION") == []
    assert toys.instance.get_latest_materialization_event(toy.KEY) is None
    assert checks(toys) == {"it_is_there": "SUCCEEDED", "it_is_pretty": "FAILED"}


def test_only_planning_an_asset_never_touches_what_is_known_of_it(toys: Toys) -> None:
    WORLD.verdict = Verdict("good", "painted", checks=toy.good_and_bad(pretty=False))
    toys.run(toy.paint_thing)
    before = checks(toys)
    ran = toys.run(toy.plan_paint_thing)
    assert ran.success
    assert toy.plan_paint_thing().asset_layer.executable_asset_keys == set()
    assert not [e for e in ran.events if "ASSET" in e.event_type_value]
    assert checks(toys) == before
    assert WORLD.executed == 1


def test_an_asset_is_applied_by_a_plan_too(toys: Toys) -> None:
    planned = toys.run(toy.plan_paint_thing).metadata("plan")["plan"]
    WORLD.colour = "blue"
    ran = toys.run(toy.paint_thing, ops={"toys__thing": {"config": {"plan_id": planned}}})
    assert "Launch plan_paint_thing again and read the new plan." in ran.failure
    assert WORLD.executed == 0


def test_a_plan_jobs_description_says_when_and_what(toys: Toys) -> None:
    said = toy.plan_paint_thing().description or ""
    for part in ("**When to run:** before paint_thing", "**What it changes:** nothing.", "**How to undo:**"):
        assert part in said
