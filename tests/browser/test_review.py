"""Review from the report to the resolution, and what the owner sees of it; also with the keyboard only."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.browser.test_accessibility import check
from tests.endpoint import Endpoint, Exchange
from tests.site import PASSWORD, Site, from_elsewhere

MAKE_REVIEWER = f"""
from django.contrib.auth.models import Group
from conversations.models import User
reviewer = User.objects.create_user("reviewer", "reviewer@example.org", "{PASSWORD}", is_staff=True)
reviewer.groups.add(Group.objects.get(name="Reviewer"))
"""
NAME_OF_FOCUSED = """() => {
  const control = document.activeElement.closest("a, button, input, summary, textarea");
  return control ? control.ariaLabel ?? control.labels?.[0]?.innerText ?? control.innerText ?? control.textContent : "";
}"""


async def think_and_answer(exchange: Exchange) -> None:
    await exchange.reason("Let me think. Both are decimals.")
    await exchange.answer("9.8 is greater than 9.11." + "\n\nA paragraph." * 60)
    await exchange.finish()


def check_widths(page: Page, state: str) -> None:
    for width in (1280, 360):
        page.set_viewport_size({"width": width, "height": 800})
        check(page, f"{state} at {width} px")


@pytest.fixture
def owner(page: Page, site: Site, endpoint: Endpoint) -> Page:
    """The page of a person with one long answer, at a site with a reviewer."""
    endpoint.respond = think_and_answer
    made = site.manage("shell", "--no-imports", "--command", MAKE_REVIEWER)
    assert made.returncode == 0, made.stderr
    sign_up(page, site)
    ask(page, "Which is greater?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    return page


@pytest.fixture
def reviewer(open_page: Callable[..., Page]) -> Page:
    page = open_page()
    page.set_extra_http_headers(from_elsewhere())
    return page


def test_a_report_is_reviewed_and_resolved_and_the_owner_sees_it(owner: Page, reviewer: Page, site: Site):
    conversation = owner.url
    for _ in range(2):
        owner.goto(f"{conversation}share/")
        owner.get_by_role("button", name="Create link").click()
        expect(owner.get_by_role("status")).to_contain_text("Link created")
    owner.goto(conversation)
    answer = owner.locator("article[data-role=assistant]")
    answer.get_by_role("button", name="More for this answer").click()
    answer.get_by_role("link", name="Give feedback").click()
    owner.get_by_label("Report a problem").check()
    owner.get_by_label("Comment").fill("Nine is not greater")
    owner.get_by_role("button", name="Send feedback").click()
    expect(owner.get_by_text("Reviewers can now read this conversation.")).to_be_visible()
    expect(owner.locator(".reviewed")).to_have_count(0)

    reviewer.goto(f"{site.url}/admin/")
    reviewer.fill("[name=login]", "reviewer")
    reviewer.fill("[name=password]", PASSWORD)
    reviewer.get_by_role("button", name="Sign in").click()
    expect(reviewer.get_by_role("link", name="Queue 1 waiting")).to_be_visible()
    check_widths(reviewer, "the queue")
    for section in ("Conversations", "Figures", "Delayed notices"):
        reviewer.get_by_role("link", name=section, exact=True).click()
        expect(reviewer.get_by_role("heading", name=section, exact=True)).to_be_visible()
        expect(reviewer.locator("#content")).not_to_contain_text("Which is greater?")  # a title is content
        if section == "Figures":  # the days of a month take long to check, and are all alike
            reviewer.goto(f"{reviewer.url}?since={timezone.localdate() - timedelta(days=3)}")
        check_widths(reviewer, section)
    reviewer.get_by_role("link", name="Search", exact=True).click()
    check_widths(reviewer, "the reason for access")
    reviewer.get_by_label("Safety").check()
    reviewer.get_by_role("button", name="Start case").click()
    reviewer.get_by_label("Search for").fill("greater")
    reviewer.get_by_role("button", name="Search").click()
    expect(reviewer.locator(".found mark").first).to_have_text("greater")
    check_widths(reviewer, "search")
    reviewer.get_by_role("link", name="Queue 1 waiting").click()
    expect(reviewer.locator(".queue")).to_contain_text("Reported by its owner")
    reviewer.get_by_role("button", name=re.compile("Claim item")).click()
    expect(reviewer.locator(".case")).to_contain_text("Reported by its owner")
    expect(reviewer.locator(".comment blockquote")).to_have_text("Nine is not greater")
    expect(reviewer.locator("article .prose")).to_contain_text("9.8 is greater than 9.11.")
    check_widths(reviewer, "a transcript")
    reviewer.get_by_label("Reason, which the owner sees").first.fill("It names a customer")
    reviewer.get_by_role("button", name="End link").first.click()
    expect(reviewer.locator(".shared-links")).to_contain_text("It names a customer")
    expect(reviewer.get_by_role("button", name="End link")).to_have_count(1)
    reviewer.locator("summary", has_text="Thought").click()
    expect(reviewer.locator(".reasoning-text")).not_to_contain_text("Both are decimals")
    reviewer.get_by_role("link", name="Read the reasoning").click()
    expect(reviewer.locator(".reasoning-text")).to_have_text("Let me think. Both are decimals.")
    expect(reviewer.locator("article form")).to_have_count(0)
    reviewer.get_by_role("link", name="Read this thought").click()
    expect(reviewer.locator(".reading-step")).to_have_count(1)
    check_widths(reviewer, "a thought")
    reviewer.go_back()
    reviewer.get_by_label("No problem").check()
    reviewer.get_by_label("Note").fill("9.8 is greater indeed")
    reviewer.get_by_role("button", name="Save and next").click()
    expect(reviewer.get_by_text("The queue is empty.")).to_be_visible()

    owner.goto(f"{site.url}/shares/")
    expect(owner.locator(".share-list")).to_contain_text("Ended by a reviewer")
    expect(owner.locator(".share-list")).to_contain_text("It names a customer")
    owner.goto(conversation)
    expect(owner.locator(".reviewed")).to_contain_text(": Read the model's reasoning (Reported")
    expect(owner.locator(".reviewed")).to_contain_text("Reviewer, 20")
    owner.get_by_role("link", name="All reviews").click()
    expect(owner.get_by_role("heading", name="Reviews of your conversations")).to_be_visible()
    expect(owner.locator(".reviews")).to_contain_text("Read the conversation: Which is greater?")
    expect(owner.locator("body")).not_to_contain_text("9.8 is greater indeed")


def press_until(page: Page, key: str, name: str) -> None:
    """Press a key until the control with this name has the focus."""
    for _ in range(60):
        page.keyboard.press(key)
        if name in page.evaluate(NAME_OF_FOCUSED):
            return
    raise AssertionError(f"{key} did not reach {name!r}")


def test_a_report_is_reviewed_and_resolved_with_the_keyboard_only(owner: Page, reviewer: Page, site: Site):
    press_until(owner, "Tab", "More")
    owner.keyboard.press("Enter")
    press_until(owner, "Tab", "Give feedback")
    owner.keyboard.press("Enter")
    expect(owner.get_by_role("heading", name="Rate this answer")).to_be_visible()
    press_until(owner, "Tab", "Good")
    press_until(owner, "ArrowDown", "Report a problem")
    press_until(owner, "Tab", "Send feedback")
    owner.keyboard.press("Enter")
    expect(owner.get_by_text("Reviewers can now read this conversation.")).to_be_visible()

    reviewer.goto(f"{site.url}/admin/")
    reviewer.locator("[name=login]").focus()
    reviewer.keyboard.type("reviewer")
    reviewer.keyboard.press("Tab")
    reviewer.keyboard.type(PASSWORD)
    reviewer.keyboard.press("Enter")
    expect(reviewer.locator(".queue")).to_contain_text("Reported by its owner")
    reviewer.wait_for_load_state()  # its script handles keys from now on
    reviewer.keyboard.press("n")
    expect(reviewer.locator("article .prose")).to_contain_text("9.8 is greater than 9.11.")
    expect(reviewer.get_by_role("heading", name="Item 1 of 1")).to_be_in_viewport()
    press_until(reviewer, "Tab", "Thought")
    reviewer.keyboard.press("Enter")
    press_until(reviewer, "Tab", "Read the reasoning")
    reviewer.keyboard.press("Enter")
    expect(reviewer.locator(".reasoning-text")).to_have_text("Let me think. Both are decimals.")
    for width in (1280, 360):
        reviewer.set_viewport_size({"width": width, "height": 640})
        for key in ("Home", "End"):
            reviewer.keyboard.press(key)
            expect(reviewer.get_by_role("button", name="Save and next")).to_be_in_viewport(ratio=1)
    reviewer.keyboard.press("k")
    reviewer.keyboard.press("k")
    expect(reviewer.locator("article").first).to_be_focused()
    reviewer.keyboard.press("j")
    expect(reviewer.locator("article").last).to_be_focused()
    reviewer.keyboard.press("2")
    expect(reviewer.get_by_label("Poor answer")).to_be_checked()
    reviewer.keyboard.press("1")
    expect(reviewer.get_by_label("No problem")).to_be_focused()
    reviewer.keyboard.press("Tab")
    reviewer.keyboard.type("2 jokes in it")  # a key in a text field is text
    expect(reviewer.get_by_label("Note")).to_have_value("2 jokes in it")
    expect(reviewer.get_by_label("No problem")).to_be_checked()
    press_until(reviewer, "Tab", "Save and next")
    reviewer.keyboard.press("Enter")
    expect(reviewer.get_by_text("The queue is empty.")).to_be_visible()
    owner.reload()
    expect(owner.locator(".reviewed")).to_contain_text("Reported by its owner")
