"""What these tests run on: the package's own platform, and no receiver of the machine they run on."""

import pytest


@pytest.fixture(autouse=True)
def nobody_elses(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the caller's: a test that fails a run on purpose must not alert anybody."""
    for name in ("GSV_PLATFORM_FILE", "GSV_ALERTMANAGER_URL", "GSV_WEBHOOK_URL", "GSV_WEBHOOK_TOKEN", "GSV_DESK_URL"):
        monkeypatch.delenv(name, raising=False)
