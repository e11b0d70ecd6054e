"""Every state of a conversation is laid out well at any size and keeps the focus in sight."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.layout import check_focus, check_layout
from tests.browser.test_accessibility import ANSWER
from tests.endpoint import Endpoint, Exchange

MOVING = """() => [...document.querySelectorAll("*")].map((element) => getComputedStyle(element))
  .map(({ transitionDuration, animationDuration }) => `${transitionDuration} ${animationDuration}`)
  .filter((durations) => /[1-9]/.test(durations))"""


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


def test_every_state_is_laid_out_well(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    check_layout(page, "welcome")
    ask(page, "First")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    check_layout(page, "thinking")
    page.locator("#composer [data-action=stop]").click()
    expect(page.locator("article[data-status=stopped]")).to_be_visible()
    check_layout(page, "stopped")
    ask(page, "Second")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=thinking]")).to_be_visible()
    ask(page, "Third")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=queued]")).to_be_visible()
    check_layout(page, "queued")
    shared_endpoint.open("Second: thinking")
    expect(page.locator(".finalised").last).to_be_attached()
    expect(page.locator(".finalised blockquote")).to_be_visible()
    check_layout(page, "answering")
    for gate in ("Second: answering", "Third: thinking", "Third: answering"):
        shared_endpoint.open(gate)
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)
    check_layout(page, "complete")
    page.get_by_role("link", name="Edit this question").last.click()
    expect(page.locator(".edit-form textarea")).to_be_focused()
    check_layout(page, "edit")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Regenerate").last.click()
    expect(page.get_by_text("2 / 2")).to_be_visible()
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)
    check_layout(page, "versions")
    ask(page, "Fail")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=failed]")).to_be_visible()
    check_layout(page, "failed")
    page.emulate_media(reduced_motion="reduce", forced_colors="active")
    check_layout(page, "forced colours")
    assert page.evaluate(MOVING) == []
    for width in (1280, 320):
        page.set_viewport_size({"width": width, "height": 640})
        page.locator("#composer textarea").focus()
        check_focus(page, 30)
