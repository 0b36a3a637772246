"""A real browser on the desk's pages. Every page that is looked at is kept as a picture, and an error in its console fails the test."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from gsv_sandbox import desk, packages
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gsv_ops_tests.cluster.a_desk import ADesk

PICTURES = desk.PROJECT / ".gsv" / "pictures"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SIZE = {"width": 1500, "height": 950}
WAIT_MS = 30_000


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, headless."""
    if not CHROMIUM.exists():
        message = f"NO BROWSER: {CHROMIUM} is missing; `python -m {packages.__name__}` installs it"
        if os.environ.get("GSV_REQUIRE_CLUSTER") == "1":
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser, a_desk: ADesk, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page whose addresses begin at the desk. A picture of how it ended lies in PICTURES under the test's name."""
    context = browser.new_context(viewport=SIZE, base_url=desk.url(a_desk.environment))
    found = context.new_page()
    found.set_default_timeout(WAIT_MS)
    broken: list[str] = []
    found.on("pageerror", lambda error: broken.append(str(error)))
    yield found
    PICTURES.mkdir(parents=True, exist_ok=True)
    found.screenshot(path=str(PICTURES / f"{re.sub('[^a-z0-9]+', '-', request.node.name.lower())}.png"))
    context.close()
    assert not broken, f"the page's own code failed: {broken}"
