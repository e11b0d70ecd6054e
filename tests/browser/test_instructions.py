"""Instructions and the meter of the context, as people use them."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.test_accessibility import check
from tests.endpoint import Endpoint, Exchange


async def respond(exchange: Exchange) -> None:
    await exchange.answer("Because.")
    await exchange.gate("answered")
    await exchange.finish("stop", {"prompt_tokens": 110_000, "completion_tokens": 1_000})


def test_instructions_are_given_by_keyboard_and_the_meter_follows_the_answer(
    signed_in: Page, shared_endpoint: Endpoint
):
    page = signed_in
    shared_endpoint.respond = respond
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    meter = page.locator("#context-use")
    expect(meter).to_have_text("About 1% of the context used.")
    expect(page.locator(".prose")).to_have_text("Because.")
    shared_endpoint.open("answered")
    expect(meter).to_have_text("85% of the context used. Older messages will soon no longer be sent to the model.")
    check(page, "a warning below the composer")
    page.get_by_role("button", name="Conversation options", exact=True).press("Enter")
    page.get_by_role("link", name="Instructions").press("Enter")
    field = page.get_by_label("Instructions for the model")
    field.fill("In verse 😀")
    check(page, "instructions")
    page.get_by_role("button", name="Save instructions").press("Enter")
    expect(page.locator(".instructed")).to_have_text("This conversation has instructions. Read or change them")
    before = meter.text_content()
    page.reload()
    expect(meter).to_have_text(before)
