"""A state root in a temporary directory."""

from pathlib import Path

import pytest
from gsv_sandbox.state import Paths


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    made = Paths(root=tmp_path / "state", cache=tmp_path / "cache")
    made.make()
    return made
