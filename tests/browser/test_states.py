"""Every state of a conversation: its accessibility tree, and its layout at every size.

`states.txt` contains the expected trees. `UPDATE_STATES=1` rewrites it: review the changes before committing them.
"""

import os
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import PAGES, ask
from tests.browser.layout import check_focus, check_layout
from tests.browser.test_accessibility import ANSWER
from tests.endpoint import Endpoint, Exchange
from tests.site import Site

STATES = Path(__file__).parent / "states.txt"
UPDATE = "UPDATE_STATES" in os.environ
# What differs between runs: names, durations, relative times, delayed texts, and the last announcement
# (a page that loads quickly still announces "Thinking", a slow one does not).
VARIABLE = {
    r"(\d+ min )?\d+(\.\d+)? s\b|a moment": "a while",
    r"just now|\d+ minutes? ago": "just now",
    r"(Waiting…) next in line": r"\1",
    r"paragraph: (Live.*|Catching up|Shown from storage)": "paragraph: Live",
    r"person[0-9a-f]{12}": "person",
    r"(?m)^  - status(: .*)?\n": "",
    r"(?m)^ *- /url: .*\n": "",
}

MOVING = """() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element))
  .map(({ transitionDuration, animationDuration }) => `${transitionDuration} ${animationDuration}`)
  .filter((durations) => /[1-9]/.test(durations))"""


def expected_trees() -> dict[str, str]:
    parts = re.split(r"^# (.+)\n", STATES.read_text() if STATES.exists() else "", flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def check_tree(page: Page, state: str) -> None:
    """Assert that the accessibility tree is the expected one."""
    tree = page.locator("main").aria_snapshot() + "\n"
    for pattern, replacement in VARIABLE.items():
        tree = re.sub(pattern, replacement, tree)
    if UPDATE:
        STATES.write_text("".join(f"# {name}\n{text}" for name, text in (expected_trees() | {state: tree}).items()))
    assert tree == expected_trees()[state]


def check(page: Page, state: str) -> None:
    check_tree(page, state)
    check_layout(page, state)


async def in_steps(exchange: Exchange) -> None:
    question = exchange.body["messages"][-1]["content"].split("\n")[
        -1
    ]  # an unanswered question precedes it in the same message
    if question == "Fail":
        await exchange.fail(401)
        return
    await exchange.reason("A thought.")
    await exchange.gate(f"{question}: thinking")
    await exchange.answer(ANSWER)
    await exchange.gate(f"{question}: answering")
    await exchange.finish()


def test_every_state_has_the_expected_accessibility_tree_and_a_good_layout(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    check(page, "welcome")
    ask(page, "First")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    check(page, "thinking")
    page.locator("#composer [data-action=stop]").click()
    expect(page.locator("article[data-status=stopped]")).to_be_visible()
    check(page, "stopped")
    ask(page, "Second")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=thinking]")).to_be_visible()
    ask(page, "Third")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=queued]")).to_be_visible()
    check(page, "queued")
    shared_endpoint.open("Second: thinking")
    expect(page.locator(".finalised").last).to_be_attached()
    expect(page.locator(".finalised blockquote")).to_be_visible()
    check(page, "answering")
    for gate in ("Second: answering", "Third: thinking", "Third: answering"):
        shared_endpoint.open(gate)
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)
    check(page, "complete")
    page.get_by_role("link", name="Edit this question").last.click()
    expect(page.locator(".edit-form textarea")).to_be_focused()
    check(page, "edit")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Regenerate").last.click()
    expect(page.get_by_text("2 / 2")).to_be_visible()
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)
    check(page, "versions")
    ask(page, "Fail")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=failed]")).to_be_visible()
    check(page, "failed")
    page.emulate_media(reduced_motion="reduce", forced_colors="active")
    check_layout(page, "forced colours")
    assert page.evaluate(MOVING) == []
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 640})
        page.locator("#composer textarea").focus()
        check_focus(page, 30)


def test_every_page_has_a_good_layout(signed_in: Page, shared_site: Site):
    page = signed_in
    for path in (*PAGES, "privacy/", "nowhere/"):
        page.goto(f"{shared_site.url}/{path}")
        check_layout(page, path)
    page.context.clear_cookies()
    for path in ("accounts/login/", "accounts/signup/", "accounts/password/reset/"):
        page.goto(f"{shared_site.url}/{path}")
        check_layout(page, path)
