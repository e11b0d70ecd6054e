"""Continuing, answering now and cancelling: with the mouse, the keyboard, touch and without a script."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.site import Site

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


async def cut_in_code(exchange: Exchange) -> None:
    """End in the middle of code with the reason 'length'; send the rest, in two steps, as the continuation."""
    if len(exchange.body["messages"]) == 1:
        await exchange.reason("I write code.")
        await exchange.answer("Here it is:\n\n```python\ndef add(a, b):\n")
        await exchange.finish("length")
        return
    await exchange.answer("    return a + b\n")
    await exchange.gate("going on")
    await exchange.answer("```\n\nThat is all.")
    await exchange.finish()


def test_an_answer_that_ends_in_code_is_continued_as_one_block_in_every_tab(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = cut_in_code
    ask(page, "Write code")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=length]")).to_contain_text("reached its length limit")
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("button", name="Continue").click()
    for tab in (page, other):
        expect(tab.locator("figure.code code")).to_have_text("def add(a, b):\n    return a + b\n")
        expect(tab.locator("figure.code")).to_have_count(1)
        expect(tab.get_by_role("img", name="Continued here")).to_have_count(1)
    other.reload()
    expect(other.locator("figure.code code")).to_have_text("def add(a, b):\n    return a + b\n")
    shared_endpoint.open("going on")
    for tab in (page, other):
        expect(tab.locator(COMPLETE)).to_contain_text("That is all.")
        if not tab.locator(".reasoning-text").is_visible():
            tab.locator("summary").filter(has_text="Thought").click()
        expect(tab.locator(".reasoning-text")).to_contain_text("I write code.")
        expect(tab.locator("article")).to_have_count(2)
        expect(tab.get_by_role("img", name="Continued here")).to_be_visible()
    narrow_code = page.locator("figure.code pre:not([tabindex])")  # the page has measured it
    expect(narrow_code).to_have_count(1)
    live = page.locator("[id^=answer-].prose").inner_html()
    page.reload()
    expect(narrow_code).to_have_count(1)
    assert page.locator("[id^=answer-].prose figure.code code").inner_text() == "def add(a, b):\n    return a + b\n"
    assert re.sub("<button.*?</button>", "", page.locator("[id^=answer-].prose").inner_html()) == re.sub(
        "<button.*?</button>", "", live
    )


def test_a_stopped_answer_is_continued_with_the_keyboard(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in

    async def stoppable(exchange: Exchange) -> None:
        if len(exchange.body["messages"]) > 1:
            await exchange.answer("it is one of a kind.")
            await exchange.finish()
        else:
            await exchange.answer("Because ")
            await exchange.gate("never")

    shared_endpoint.respond = stoppable
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=answering] .prose")).to_have_text("Because")
    page.locator("[data-action=stop]").click()
    page.get_by_role("button", name="Continue").focus()
    page.keyboard.press("Enter")
    expect(page.locator(f"{COMPLETE} .prose")).to_have_text("Because it is one of a kind.")
    expect(page.locator("#composer textarea")).to_be_focused()


def test_answer_now_keeps_the_reasoning_as_another_version(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    ask(page, "And then?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=queued]")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    page.get_by_role("button", name="Answer now").click()
    assert shared_endpoint.exchanges[0].closed_by_client.wait(60)
    shared_endpoint.open("thought")
    for tab in (page, other):
        expect(tab.locator(COMPLETE)).to_have_count(2)
        expect(tab.locator(".asked")).to_have_text(["Why?", "And then?"])
        expect(tab.locator(".prose")).to_have_text(["At once.", "It is so."])
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator("article[data-status=stopped]")).to_contain_text("Stopped while thinking.")
    page.locator("summary").filter(has_text="Thought").click()
    expect(page.locator(".step .prose")).to_have_text("First I think.")


KEEP_SOCKET = """
window.WebSocket = class extends WebSocket {
  constructor(...given) {
    super(...given);
    window.lastSocket = this;
  }
};
"""
# Receives a frame, and returns the focused control before anything that waits for a timer.
FOCUSED_AFTER_FRAME = """frame => new Promise(done => {
  const channel = new MessageChannel();
  channel.port1.onmessage = () => done(document.activeElement.dataset.action);
  channel.port2.postMessage(0);
  lastSocket.dispatchEvent(new MessageEvent("message", { data: frame }));
})"""


def test_a_key_press_after_a_frame_meets_the_control_that_replaces_the_focused_one(
    signed_in: Page, shared_endpoint: Endpoint
):
    page = signed_in
    page.add_init_script(KEEP_SOCKET)
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    ask(page, "And then?")
    expect(page.locator(".queue-position")).to_have_text("next in line")  # nothing more arrives
    cancel = page.get_by_role("button", name="Cancel")
    cancel.focus()
    old = cancel.element_handle()
    footer = page.locator("footer.status", has=cancel).evaluate("footer => footer.outerHTML")
    frame = footer.replace("<footer", '<footer hx-swap-oob="true"', 1)
    assert page.evaluate(FOCUSED_AFTER_FRAME, frame) == "cancel"
    assert not old.evaluate("button => button.isConnected")


@pytest.mark.parametrize("written", ["", "Meanwhile"])
def test_cancelling_a_queued_question_returns_its_text_to_the_composer(
    signed_in: Page, shared_endpoint: Endpoint, written: str
):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    ask(page, "  And\nthen?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=queued] .phase")).to_contain_text("Waiting…")
    other = page.context.new_page()
    other.goto(page.url)
    page.fill("#composer textarea", written)
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("Enter")
    field = page.locator("#composer textarea")
    expect(field).to_have_value(f"{written}\n\n  And\nthen?" if written else "  And\nthen?")
    expect(field).to_be_focused()
    for tab in (page, other):
        expect(tab.locator("article")).to_have_count(2)
    expect(other.locator("#composer textarea")).to_have_value("")
    shared_endpoint.open("thought")
    expect(page.locator(COMPLETE)).to_have_count(1)
    assert len(shared_endpoint.exchanges) == 1


def test_cancelling_the_only_question_opens_a_new_conversation_with_its_text(
    page: Page, make_site: Callable[..., Site], endpoint: Endpoint
):
    endpoint.respond = in_steps
    site = make_site(USER_CONCURRENCY=1)
    # The first frame replaces the article, also while its button is being clicked.
    page.add_init_script("addEventListener('htmx:wsAfterMessage', () => { document.body.dataset.hears = ''; })")
    sign_up(page, site)
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    page.goto(site.url)
    ask(page, "And what else?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(page.locator("body[data-hears]")).to_be_attached()
    page.get_by_role("button", name="Cancel").click()
    page.wait_for_url(f"{site.url}/")
    expect(page.locator("#composer textarea")).to_have_value("And what else?")
    expect(page.get_by_role("link", name="And what else?")).to_have_count(0)


def test_a_question_that_has_started_cannot_be_cancelled(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    ask(page, "And then?")
    button = page.get_by_role("button", name="Cancel")
    expect(button).to_be_visible()

    def late(route: Route) -> None:
        """Delay the request until the question has started, which the page did not know when it sent the request."""
        shared_endpoint.open("thought")
        shared_endpoint.await_exchange(2)
        route.continue_()

    page.route("**/take-back/", late)
    button.click()
    expect(page.locator("#composer-error")).to_contain_text("It is too late to cancel")
    expect(page.locator(COMPLETE)).to_have_count(2)


def test_all_actions_work_on_a_phone(open_page: Callable[..., Page], shared_site: Site, shared_endpoint: Endpoint):
    page = open_page(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    sign_up(page, shared_site)
    shared_endpoint.respond = in_steps
    page.fill("#composer textarea", "Why is it that " + "very long words " * 12)
    page.locator("[data-action=send]").tap()
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    page.get_by_role("button", name="Answer now").tap()
    expect(page.locator(COMPLETE)).to_contain_text("At once.")
    page.get_by_role("link", name="Edit this question").tap()
    page.fill(".edit-form textarea", "Shorter?")
    for control in page.locator(".edit-form :is(a, button)").all():
        assert control.bounding_box()["height"] >= 44
    page.keyboard.press("Enter")
    expect(page.locator(".edit-form textarea")).to_have_value("Shorter?\n")
    page.get_by_role("button", name="Ask again").tap()
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shared_endpoint.open("thought")
    expect(page.locator(COMPLETE)).to_contain_text("It is so.")


def test_all_actions_work_without_a_script(
    open_page: Callable[..., Page], shared_site: Site, shared_endpoint: Endpoint
):
    page = open_page(java_script_enabled=False)
    sign_up(page, shared_site)

    def ended(number: int) -> None:
        """Wait until this conversation has this number of ended generations, then reload its page."""
        shared_site.await_rows(
            "select 1 from conversations_generation where conversation_id = ? and finished_at is not null"
            " group by conversation_id having count(*) >= ?",
            conversation,
            number,
        )
        page.goto(address)

    shared_endpoint.respond = in_steps
    page.fill("#composer textarea", "Why?")
    page.locator("[data-action=send]").click()
    address = page.url
    conversation = shared_site.uuid(address.rstrip("/").rsplit("/", 1)[1])
    shared_endpoint.await_reached("thought")
    page.fill("#composer textarea", "And then?")
    page.locator("[data-action=send]").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("#composer textarea")).to_have_value("And then?")
    expect(page.locator("article")).to_have_count(2)
    page.get_by_role("button", name="Answer now").click()
    ended(2)
    expect(page.locator(COMPLETE)).to_contain_text("At once.")
    shared_endpoint.respond = cut_in_code
    page.get_by_role("link", name="Edit this question").click()
    expect(page.locator(".edit-form textarea")).to_be_focused()
    page.get_by_role("link", name="Cancel").click()
    page.get_by_role("link", name="Edit this question").click()
    page.fill(".edit-form textarea", " ")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator(".edit-form")).to_contain_text("Enter a question.")
    page.fill(".edit-form textarea", "Write code")
    page.get_by_role("button", name="Ask again").click()
    ended(3)
    expect(page.locator("article[data-role=user] .versions")).to_contain_text("2 / 2")
    shared_endpoint.open("going on")
    page.get_by_role("button", name="Continue").click()
    ended(4)
    expect(page.locator("figure.code code")).to_have_text("def add(a, b):\n    return a + b\n")
    expect(page.locator(COMPLETE)).to_contain_text("That is all.")


def test_a_rejected_question_returns_its_text(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in

    async def filtered(exchange: Exchange) -> None:
        await exchange.finish("content_filter")

    shared_endpoint.respond = filtered
    ask(page, "Something bad")
    page.wait_for_url(re.compile("/conversations/"))  # loaded, scripts too
    expect(page.locator("article[data-status=filtered]")).to_contain_text("content filter")
    shared_endpoint.respond = think_and_answer
    page.get_by_role("link", name="Edit the question").click()
    expect(page.locator(".edit-form textarea")).to_be_focused()
    page.keyboard.type(", in other words")
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE)).to_be_visible()
    expect(page.locator(".asked")).to_have_text("Something bad, in other words")
