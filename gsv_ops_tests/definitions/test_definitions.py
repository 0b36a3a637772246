"""What an operator finds in Dagster, loaded where nothing can be reached.

After a change that is meant: `pytest gsv_ops_tests/definitions --snapshot-update`, and read the difference.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

DESCRIBE = Path(__file__).with_name("describe.py")
ENVIRONMENTS: dict[str, dict[str, str]] = {"none": {}, "automation": {"GSV_ENVIRONMENT": "sandbox"}}


def environ(folder: Path, **more: str) -> dict[str, str]:
    """Nothing of the caller's: no home, no kubeconfig, no proxy."""
    return {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", **more}


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The definitions as each of the environments sees them."""
    homes = {name: tmp_path_factory.mktemp(name) for name in ENVIRONMENTS}
    running = {
        name: subprocess.Popen(
            [sys.executable, "-W", "error", str(DESCRIBE)],
            env=environ(homes[name], **more),
            cwd=homes[name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name, more in ENVIRONMENTS.items()
    }
    found = {}
    for name, process in running.items():
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert err == "", "something was said while loading"
        found[name] = json.loads(out)
        assert list(homes[name].iterdir()) == [], "loading wrote something"
    return found


def test_they_load_without_network_warnings_or_what_only_a_run_needs(loaded: dict[str, dict[str, Any]]) -> None:
    for name, found in loaded.items():
        print(f"{name}: dagster in {found['seconds']['dagster']} s, ours in {found['seconds']['ours']} s")  # noqa: T201
        assert found["heavy"] == []


def test_the_guard_against_the_network_guards(tmp_path: Path) -> None:
    program = f"import runpy, socket; d = runpy.run_path({str(DESCRIBE)!r}); socket.socket.connect = d['no_network']\n"
    program += "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9/')"
    done = subprocess.run([sys.executable, "-c", program], env=environ(tmp_path), capture_output=True, text=True, timeout=60)
    assert "loading the definitions opened a connection" in done.stderr


@pytest.mark.parametrize("part", ["assets", "checks", "jobs", "schedules", "sensors", "resources"])
def test_what_there_is(loaded: dict[str, dict[str, Any]], snapshot: SnapshotAssertion, part: str) -> None:
    assert loaded["none"][part] == snapshot


def test_every_job_says_when_to_run_it_what_it_changes_and_how_to_undo_it(loaded: dict[str, dict[str, Any]]) -> None:
    lacking = {
        f"{name}: {word}"
        for name, job in loaded["none"]["jobs"].items()
        if not name.startswith("__")
        for word in ("**When to run:**", "**What it changes:**", "**How to undo:**")
        if word not in (job["description"] or "")
    }
    assert lacking == set()


def test_everything_else_says_what_it_is(loaded: dict[str, dict[str, Any]]) -> None:
    parts = ("assets", "checks", "schedules", "sensors")
    assert [f"{part}: {name}" for part in parts for name, body in loaded["none"][part].items() if not body["description"]] == []


def fields(configuration: Any) -> dict[str, Any]:
    """Every field of a configuration by its path."""
    found = {}
    for name, field in configuration.items():
        if isinstance(field["type"], dict):
            found |= {f"{name}.{inner}": value for inner, value in fields(field["type"]).items()}
        else:
            found[name] = field
    return found


def test_every_field_has_a_description_a_default_and_no_trap(loaded: dict[str, dict[str, Any]]) -> None:
    operators = {name: job for name, job in loaded["none"]["jobs"].items() if not name.startswith("__")}
    for job, body in operators.items():
        for path, field in fields(body["configuration"]).items():
            if path.endswith(".config"):
                continue  # of an op that takes none
            assert field.get("description"), f"{job}: {path} says nothing"
            assert field["default"] not in ("(required)", None), f"{job}: {path} is hidden in the launchpad without a default"
            assert "Source" not in field["type"], f"{job}: {path} takes an environment variable's value"


def test_nothing_runs_by_itself_where_no_automation_is(loaded: dict[str, dict[str, Any]]) -> None:
    for environment, status in (("none", "STOPPED"), ("automation", "RUNNING")):
        every = loaded[environment]["schedules"] | loaded[environment]["sensors"]
        assert every
        assert {name: body["status"] for name, body in every.items() if body["status"] != status} == {}


def test_environments_differ_in_nothing_else(loaded: dict[str, dict[str, Any]]) -> None:
    for part in ("assets", "checks", "jobs", "resources"):
        assert loaded["none"][part] == loaded["automation"][part]


def test_schedules_have_a_time_zone(loaded: dict[str, dict[str, Any]]) -> None:
    assert {name for name, body in loaded["none"]["schedules"].items() if not body["zone"]} == set()
