"""Fixtures that every tier of the tests may ask for."""

import os
import sys
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from gsv_ops_tests import postgres_server

# a busy machine is no failure of what is tested: examples have no deadline
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

# the sandbox and a desk of the tests' own: for the cluster tier and the browser
pytest_plugins = ["gsv_ops_tests.cluster.fixtures", "gsv_ops_tests.cluster.fault_table.plugin", "pytester"]


@pytest.fixture(autouse=True)
def _dagster_forgets() -> Iterator[None]:
    """An instance that a tick's context entered stays the current one for ever, and definitions that are then loaded ask it, dead."""
    yield
    if base := sys.modules.get("dagster._core.storage.defs_state.base"):
        base._current_storage.set(None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[dict[str, object]]:
    """psycopg connect kwargs of the superuser of a PostgreSQL server that lives as long as the test run."""
    if not postgres_server.available():
        package = f"postgresql-{postgres_server.VERSION}"
        message = f"no PostgreSQL server programs here: apt-get install {package}"
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    with postgres_server.server() as superuser:
        yield superuser
