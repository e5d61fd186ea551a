"""The dashboard in a real browser: sign-in, the list that refreshes itself, the page of a run, and hostile texts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from bank_runs import HOSTILE
from playwright.sync_api import Browser, Page, expect, sync_playwright
from web_stage import SECRET_KEY, Bank

from celeriac.web.auth import signin_link
from celeriac.wiring import Installation

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="module")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, server: str, bank: Bank) -> Iterator[Page]:
    """A page of somebody who came by a sign-in link; it must meet no dialog, no error and no foreign address."""
    trouble: list[str] = []
    page = browser.new_page()
    page.on("dialog", lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
    page.on("pageerror", lambda error: trouble.append(str(error)))
    page.on("request", lambda asked: None if asked.url.startswith(server) else trouble.append(asked.url))
    page.goto(signin_link(server, bank.tenant_id, SECRET_KEY))
    yield page
    page.close()
    assert trouble == []


def test_somebody_signs_in_with_a_key(browser: Browser, server: str, bank: Bank) -> None:
    page = browser.new_page()
    page.goto(server)
    page.fill("#key", bank.api_key)
    page.press("#key", "Enter")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_text("Northbridge Bank")).to_be_visible()
    page.close()


def test_a_new_run_appears_in_the_list_by_itself(page: Page, bank: Bank) -> None:
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    bank.desk.waiting()
    expect(page.locator(".runs tbody tr")).to_have_count(1)
    expect(page.locator(".badge.parked")).to_be_visible()


def test_a_run_page_tells_the_story_and_opens_its_steps(page: Page, bank: Bank) -> None:
    bank.desk.completed()
    page.reload()
    page.click(".runs a")
    expect(page.locator(".story .turn")).to_have_count(3)
    page.click("details.step:has-text('gpt-4.1-mini') >> nth=0")
    expect(page.locator(".chat .bubble.system").first).to_have_text("You are Triage of the bank.")
    expect(page.locator(".bars .run").first).to_be_visible()


def test_what_is_open_stays_open_while_the_run_goes_on(page: Page, server: str, bank: Bank) -> None:
    run = bank.desk.started()
    run.customer()
    page.goto(f"{server}/runs/{run.id}")
    page.click("details.step:has-text('load_customer') summary")
    run.turn(1, "Triage", "classify", {"intent": "card_arrival"}, {"intent": "card_arrival"})
    expect(page.locator(".story .turn")).to_have_count(1)
    expect(page.locator("details.step[open]")).to_have_count(1)
    expect(page.locator("details.step[open]")).to_contain_text("Ada Okafor")


def test_a_waiting_run_is_cancelled_after_asking(page: Page, server: str, bank: Bank) -> None:
    page.goto(f"{server}/runs/{bank.desk.waiting()}")
    expect(page.get_by_text("Waits for event 'support/card.block.decided'")).to_be_visible()
    page.get_by_text("Cancel run").click()
    page.get_by_role("button", name="Yes, cancel it").click()
    expect(page.locator(".badge.big.cancelled")).to_be_visible()


def test_hostile_texts_do_nothing_in_a_browser(page: Page, server: str, bank: Bank) -> None:
    page.goto(f"{server}/runs/{bank.desk.completed(reply=HOSTILE)}")
    for step in page.locator("details.step > summary").all():
        step.click()
    expect(page.locator(".story").get_by_text("<script>alert(1)</script>").first).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_screen(page: Page, server: str, bank: Bank, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    run = f"/runs/{bank.desk.completed()}"
    counted = "/bulk/new?kind=rerun&status=completed&if=event.data.text%20!=%20%27x%27"
    for path in (
        "/runs?status=parked",
        f"/runs/{bank.desk.waiting()}",
        f"/runs/{bank.desk.asking()}",
        "/approvals",
        f"{run}/rerun",
        counted,
        "/bulk",
        "/functions",
        "/settings/keys",
        "/settings/people",
        "/settings/audit?actor=nobody",
    ):
        page.goto(server + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_first_command_can_be_copied(page: Page, server: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").startswith(f"curl {server}/e/$EVENT_KEY")


def test_a_role_changes_by_a_button_and_not_by_a_key(
    page: Page, server: str, bank: Bank, installation: Installation
) -> None:
    """Whoever walks through the roles with the arrows makes nobody an owner."""
    user = installation.people.create("ada@example.com", "correct horse battery")
    installation.people.set_role(bank.tenant_id, user.id, "viewer")
    page.goto(f"{server}/settings/people")
    posted: list[str] = []
    page.on("request", lambda asked: posted.append(asked.url) if asked.method == "POST" else None)
    roles = page.get_by_label("Role of ada@example.com")
    roles.focus()
    for _ in range(3):
        page.keyboard.press("ArrowDown")
    expect(roles).to_have_value("owner")
    assert not posted and installation.people.members(bank.tenant_id)[0].role == "viewer"
    with page.expect_response("**/role"):
        page.get_by_role("button", name="Change").click()
    assert len(posted) == 1 and installation.people.members(bank.tenant_id)[0].role == "owner"


def test_a_step_is_done_again_with_an_edited_input(page: Page, server: str, bank: Bank) -> None:
    page.goto(f"{server}/runs/{bank.desk.completed()}")
    page.click("details.step:has-text('gpt-4.1-mini') >> nth=0")
    page.locator("details.step[open]").get_by_text("Rerun from here").click()
    page.fill("#input", '{"system": "Be brief.", "messages": []}')
    page.get_by_role("button", name="Rerun from here").click()
    expect(page.locator(".badge.big.queued")).to_be_visible()
    expect(page.get_by_text("Does again", exact=True)).to_be_visible()


def test_many_runs_are_cancelled_after_a_count(page: Page, bank: Bank, installation: Installation) -> None:
    for _ in range(3):
        bank.desk.ticket()
    page.goto(f"{page.url.partition('/runs')[0]}/runs?status=queued")
    page.get_by_text("Cancel these").click()
    expect(page.locator(".verdict .numeral")).to_have_text("3")
    page.get_by_role("button", name="Cancel them").click()
    expect(page.locator(".badge.big.running")).to_be_visible()
    [action] = installation.operations.running()
    installation.operations.advance(action)
    expect(page.locator(".badge.big.completed")).to_be_visible()
    expect(page.get_by_role("button", name="Abort")).to_have_count(0)


def test_a_reason_that_is_being_typed_outlives_a_refresh_and_is_told(page: Page, server: str, bank: Bank) -> None:
    run_id = bank.desk.asking()
    page.goto(f"{server}/approvals")
    page.get_by_role("link", name="block_card").click()
    reason = page.get_by_label("Reason")
    reason.fill("Ask the")
    reason.evaluate("field => (field.dataset.old = 'yes')")
    expect(page.locator("textarea[data-old]")).to_have_count(0)
    expect(reason).to_be_focused()
    page.keyboard.type(" branch")
    expect(reason).to_have_value("Ask the branch")
    page.get_by_role("button", name="Deny").click()
    expect(page.get_by_role("button", name="Deny")).to_have_count(0)
    [entry] = [one for one in bank.api.get("/v1/audit").json["data"] if one["subject"] == run_id]
    assert (entry["action"], entry["detail"]["reason"]) == ("run.denied", "Ask the branch")


def test_no_button_moves_under_the_pointer(page: Page, server: str, bank: Bank) -> None:
    page.goto(f"{server}/runs/{bank.desk.asking()}")
    button, old = page.get_by_role("button", name="Approve"), page.locator("button[data-old]")
    button.evaluate("button => (button.dataset.old = 'yes')")
    button.hover()
    for _ in range(2):  # what the first brought would stand there by the second
        page.wait_for_event("response", lambda answer: "x-fragment" in answer.request.headers)
    expect(old).to_have_count(1)
    page.mouse.move(0, 0)
    expect(old).to_have_count(0)
