"""Editing a question."""

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange

COMPLETE = "article[data-status=complete][data-role=assistant]"


async def repeat_question(exchange: Exchange) -> None:
    await exchange.answer(f"You asked: {exchange.body['messages'][-1]['content']}")
    await exchange.finish()


async def in_steps(exchange: Exchange) -> None:
    """Reason until the gate opens, then answer; without reasoning, answer at once."""
    if exchange.body.get("chat_template_kwargs", {}).get("thinking") is False:
        await exchange.answer("At once.")
        await exchange.finish()
        return
    await exchange.reason("First I think. ")
    await exchange.gate("thought")
    await exchange.answer("It is so.")
    await exchange.finish()


def test_an_edited_question_is_asked_again(signed_in: Page, shared_endpoint: Endpoint):
    page, held = signed_in, []

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            held.append((route, route.fetch()))
        else:
            route.continue_()

    shared_endpoint.respond = repeat_question
    ask(page, "Why?")
    expect(page.locator(".prose")).to_have_text("You asked: Why?")
    other = page.context.new_page()
    other.goto(page.url)
    page.route("**/edit/", hold)
    page.get_by_role("link", name="Edit this question").click()
    field = page.get_by_label("Edit your question")
    expect(field).to_be_focused()
    expect(page.locator(".asked")).to_be_hidden()
    page.keyboard.type(" And how?")
    page.keyboard.press("Enter")
    for tab in (page, other):
        expect(tab.locator(".prose")).to_have_text("You asked: Why? And how?")
        expect(tab.locator("article")).to_have_count(2)
        expect(tab.locator("article[data-role=user] .versions")).to_contain_text("2 / 2")
    expect(page.locator("#composer textarea")).to_be_focused()
    [(route, response)] = held  # the socket was quicker
    with page.expect_event("requestfinished"):
        route.fulfill(response=response)
    page.get_by_role("button", name="Previous version").click()
    for tab in (page, other):
        expect(tab.locator(".prose")).to_have_text("You asked: Why?")
    page.get_by_role("link", name="Edit this question").click()
    expect(field).to_have_value("Why?")


def test_escape_discards_an_edit(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(COMPLETE)).to_be_visible()
    link = page.get_by_role("link", name="Edit this question")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".edit-form textarea")).to_be_focused()
    page.keyboard.type(" Something else")
    page.reload()
    link.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".edit-form textarea")).to_have_value("Why? Something else")
    page.keyboard.press("Escape")
    expect(page.locator(".edit-form")).to_have_count(0)
    expect(page.locator(".asked")).to_have_text("Why?")
    expect(link).to_be_focused()
    link.click()
    expect(page.locator(".edit-form textarea")).to_have_value("Why?")
    page.get_by_role("link", name="Cancel").click()
    expect(link).to_be_focused()
    assert len(shared_endpoint.exchanges) == 1


def test_an_edit_is_kept_when_the_site_cannot_be_reached(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = repeat_question
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(COMPLETE)).to_be_visible()
    page.get_by_role("link", name="Edit this question").click()
    page.fill(".edit-form textarea", "Why not?")
    page.context.set_offline(True)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".edit-form [role=alert]")).to_contain_text("could not be reached")
    page.context.set_offline(False)
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".prose")).to_have_text("You asked: Why not?")


def test_sending_an_edit_stops_a_running_answer(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    shared_endpoint.respond = repeat_question
    page.get_by_role("link", name="Edit this question").click()
    page.fill(".edit-form textarea", "Why not?")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".prose")).to_have_text("You asked: Why not?")
    assert shared_endpoint.exchanges[0].closed_by_client.wait(60)
    shared_endpoint.open("thought")
    page.get_by_role("button", name="Previous version").first.click()
    expect(page.locator("article[data-status=stopped]")).to_contain_text("Stopped while thinking.")
