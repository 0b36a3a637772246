"""What an operator sees and clicks: the lineage, the launchpad, a run, an asset and its checks."""

import re

import pytest
from gsv_sandbox.runs import Run
from playwright.sync_api import Page, expect

from gsv_ops_tests.cluster.a_desk import ADesk
from gsv_ops_tests.cluster.restored import Seen

pytestmark = [pytest.mark.ui, pytest.mark.cluster]

BACKUP = "/assets/database/cmp_postgres/backup"
PROOF = "/assets/database/cmp_postgres/proof"
JOBS = "/locations/gsv_ops/jobs"
SEVERITY = re.compile("Success|Failure|Failed")


def test_the_lineage_shows_the_proof_downstream_of_the_backup(page: Page, first_proof: Seen) -> None:
    """Both assets, materialised, with their checks counted."""
    page.goto("/locations/gsv_ops/asset-groups/database/lineage")
    for name in ("backup", "proof"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    expect(page.get_by_text("Materialized").first).to_be_visible()
    expect(page.get_by_text("Passed").first).to_be_visible()


def test_the_asset_page_leads_with_the_verdict(page: Page, first_proof: Seen) -> None:
    """Verdict, rows and tables as they were proven, and the link to the plots."""
    page.goto(PROOF)
    said = first_proof.run.materialized["database/cmp_postgres/proof"]
    expect(page.get_by_text("proven", exact=True).first).to_be_visible()
    expect(page.get_by_text(str(said["rows"]), exact=True).first).to_be_visible()
    page.get_by_text("Plots", exact=True).click()
    expect(page.get_by_text("recovery in seconds").first).to_be_visible()


def test_the_checks_page_names_every_good_condition(page: Page, first_backup: Run) -> None:
    """Those that come with the backup and those that are judged on their own schedule."""
    page.goto(f"{BACKUP}?view=checks")
    for name in ("size_is_plausible", "wal_to_its_end_is_archived", "fingerprint_is_taken", "newest_backup_is_recent", "wal_is_archived"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()


def test_the_launchpad_is_filled_in_and_explains_each_field(page: Page) -> None:
    """The safe defaults stand in the editor, the explanations beside it."""
    page.goto(f"{JOBS}/sweep_scratch_clusters/playground")
    expect(page.get_by_text("mode: plan").first).to_be_visible()
    expect(page.get_by_text("show what would be done and change nothing").first).to_be_visible()
    expect(page.get_by_role("button", name="Launch Run")).to_be_enabled()


def test_a_plan_launched_by_a_click_shows_what_would_be_done_and_its_link_is_filled_in(page: Page, a_desk: ADesk) -> None:
    """From the launchpad to the run, to the plan's table, to the launchpad of the job that applies exactly that plan."""
    page.goto(f"{JOBS}/plan_backup_database/playground")
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url(re.compile("/runs/"))
    page.get_by_text("View full message").first.click()
    expect(page.get_by_text("what would be done").first).to_be_visible()
    link = page.locator('a[href*="playground/setup?config="]').first
    expect(link).to_be_visible()
    address = link.get_attribute("href")
    assert address
    page.goto(address)
    expect(page.get_by_text(re.compile(r"plan_id: p-[0-9a-f]{12}")).first).to_be_visible()
    expect(page.get_by_role("button", name="Launch Run")).to_be_enabled()


def test_bad_input_is_refused_by_the_launchpad_with_what_was_expected(page: Page) -> None:
    """No run is made; the dialog says what was wrong and what would be right."""
    page.goto(f"{JOBS}/freeze_desk/playground/setup?config=reason%3A%20upgrade%0A")
    page.wait_for_url(re.compile("playground$"))
    page.get_by_role("button", name="Launch Run").click()
    expect(page.get_by_text("who is empty; say it").first).to_be_visible()


def test_a_failed_run_ends_with_the_four_lines(page: Page, a_desk: ADesk) -> None:
    """They stand on the run's page, not only in a log file."""
    run = a_desk.run("prove_backup", {"ops": {"database__cmp_postgres__proof": {"config": {"backup": "there-is-none"}}}})
    assert run.status == "FAILURE"
    page.goto(f"/runs/{run.run_id}")
    page.get_by_text("View full message").first.click()
    for line in ("Changed: nothing", "Not changed: everything", "Run it again:", "Next:"):
        expect(page.get_by_text(line).first).to_be_visible()
