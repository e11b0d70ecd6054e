"""The main workflows of a conversation: ask, watch, reload, stop, return."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint, Exchange
from tests.site import Site

ENDED = "select 1 from conversations_generation where status = 'complete' and conversation_id = ?"
TEXT_BEYOND_ONE_BLOCK = (
    "| a | b |\n|---|--:|\n| 1 | 2 |\n| 3 | 4 |\n\n- one\n- two\n\n```python\nprint(1)\n```\n\nThe *end*.\n"
)


async def in_steps(exchange: Exchange) -> None:
    await exchange.reason("First I think. ")
    await exchange.gate("thinking")
    await exchange.reason("Then I know.")
    await exchange.answer("**9.8** is greater.\n\n")
    await exchange.gate("answering")
    await exchange.answer(TEXT_BEYOND_ONE_BLOCK)
    await exchange.finish()


def answer(page: Page) -> str:
    return page.locator("article[data-role=assistant] .prose").last.inner_text()


def test_reasoning_and_answer_are_streamed_stored_and_shown_again(
    signed_in: Page, shared_site: Site, shared_endpoint: Endpoint
):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Which is greater, 9.11 or 9.8?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    expect(page.locator("article[data-status=thinking] .phase")).to_contain_text("Thinking")
    shared_endpoint.open("thinking")
    expect(page.locator("article[data-status=answering] .prose")).to_have_text("9.8 is greater.")
    expect(page.locator(".phase")).to_contain_text("Thought for")
    shared_endpoint.open("answering")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    live = answer(page)
    [(reasoning, content)] = shared_site.rows(
        "select reasoning, content from conversations_message where role = 'assistant' order by id desc limit 1"
    )
    assert reasoning == "First I think. Then I know."
    assert content == "**9.8** is greater.\n\n" + TEXT_BEYOND_ONE_BLOCK
    page.goto(shared_site.url)
    page.get_by_role("link", name="Which is greater, 9.11 or 9.8?").click()
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    assert answer(page) == live


def test_a_reload_during_a_stream_shows_the_text_so_far_and_continues(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    page.reload()
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    shared_endpoint.open("thinking")
    expect(page.locator("article[data-status=answering] .prose")).to_have_text("9.8 is greater.")
    page.reload()
    expect(page.locator(".prose")).to_have_text("9.8 is greater.")
    shared_endpoint.open("answering")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    live = answer(page)
    page.reload()
    assert answer(page) == live
    expect(page.locator("article")).to_have_count(2)


def test_two_tabs_show_the_same(signed_in: Page, shared_endpoint: Endpoint):
    first = signed_in
    shared_endpoint.respond = in_steps
    ask(first, "Why?")
    first.wait_for_url(re.compile("/conversations/"))
    second = first.context.new_page()
    second.goto(first.url)
    shared_endpoint.open("thinking")
    shared_endpoint.open("answering")
    for page in (first, second):
        expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    ask(second, "And then?")
    for page in (first, second):
        expect(page.locator("article[data-status=complete][data-role=assistant]")).to_have_count(2)
    assert answer(first) == answer(second)


def test_stop_keeps_the_text_and_allows_another_question(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_have_text("First I think. ")
    page.locator("[data-action=stop]").click()
    expect(page.locator("article[data-status=stopped]")).to_contain_text("Stopped while thinking.")
    assert shared_endpoint.exchanges[0].closed_by_client.wait(60)
    expect(page.locator("[data-action=stop]")).to_have_count(0)
    shared_endpoint.open("thinking")
    shared_endpoint.open("answering")
    ask(page, "And now?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_have_count(1)


def test_regenerating_adds_a_version_and_both_can_be_read(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in

    async def numbered(exchange: Exchange) -> None:
        await exchange.answer(f"Version {len(shared_endpoint.exchanges)}.")
        await exchange.finish()

    shared_endpoint.respond = numbered
    ask(page, "Why?")
    expect(page.locator(".prose")).to_have_text("Version 1.")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator(".prose")).to_have_text("Version 2.")
    expect(page.locator("article")).to_have_count(2)
    page.get_by_role("button", name="Previous version").click()
    expect(page.locator(".prose")).to_have_text("Version 1.")
    page.reload()
    expect(page.locator(".prose")).to_have_text("Version 1.")
    page.get_by_role("button", name="Next version").click()
    expect(page.locator(".prose")).to_have_text("Version 2.")


def test_typed_text_is_kept_when_the_site_cannot_be_reached(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "First")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    page.context.set_offline(True)
    ask(page, "Second")
    expect(page.locator("#composer-error")).to_contain_text("could not be reached")
    expect(page.locator("#composer textarea")).to_have_value("Second")
    page.context.set_offline(False)
    expect(page.locator("#composer-error")).to_contain_text("The connection is back")
    page.get_by_role("button", name="Send again").click()
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_have_count(2)
    expect(page.locator("#composer textarea")).to_have_value("")
    expect(page.locator("#composer-error")).to_be_empty()


def test_enter_during_composition_of_a_character_does_not_send(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    page.fill("#composer textarea", "に")
    page.evaluate(
        """() => document.querySelector("#composer textarea").dispatchEvent(
            new KeyboardEvent("keydown", {key: "Enter", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    page.keyboard.press("Shift+Enter")
    expect(page.locator("#composer textarea")).to_have_value("に\n")
    assert shared_endpoint.exchanges == []


def test_enter_on_a_phone_inserts_a_line_and_nothing_overflows(
    open_page: Callable[..., Page], shared_site: Site, shared_endpoint: Endpoint
):
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    sign_up(page, shared_site)
    ask(page, "Why?")
    expect(page.locator("#composer textarea")).to_have_value("Why?\n")
    page.locator("[data-action=send]").click()
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_without_script_a_prompt_is_sent_and_everything_can_be_read(
    open_page: Callable[..., Page], shared_site: Site, shared_endpoint: Endpoint
):
    page = open_page(java_script_enabled=False)
    sign_up(page, shared_site)
    page.fill("#composer textarea", "Why?")
    page.locator("[data-action=send]").click()
    page.wait_for_url(re.compile("/conversations/"))
    shared_endpoint.await_exchange(1)
    shared_site.await_rows(ENDED, page.url.rstrip("/").rsplit("/", 1)[1].replace("-", ""))
    page.reload()
    expect(page.locator(".prose")).to_have_text("9.8 is greater than 9.11.")
    page.locator("summary", has_text="Thought").click()
    expect(page.locator(".reasoning-text")).to_be_visible()


def test_a_reader_who_scrolled_up_is_not_moved(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in

    async def long(exchange: Exchange) -> None:
        for number in range(60):
            await exchange.answer(f"Paragraph {number}.\n\n")
        await exchange.gate("more")
        for number in range(60, 120):
            await exchange.answer(f"Paragraph {number}.\n\n")
        await exchange.finish()

    shared_endpoint.respond = long
    ask(page, "Write a lot.")
    expect(page.get_by_text("Paragraph 59.")).to_be_in_viewport()
    page.mouse.move(700, 400)
    page.mouse.wheel(0, -600)
    expect(page.locator("#jump")).to_be_visible()
    page.wait_for_function(  # until smooth scrolling by the wheel has ended
        """() => new Promise((resolve) => {
            const y = scrollY;
            requestAnimationFrame(() => requestAnimationFrame(() => resolve(y === scrollY)));
        })"""
    )
    before = page.evaluate("scrollY")
    shared_endpoint.open("more")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    assert page.evaluate("scrollY") == before
    page.locator("#jump").click()
    expect(page.get_by_text("Paragraph 119.")).to_be_in_viewport()
    expect(page.locator("#jump")).to_be_hidden()
    page.mouse.wheel(0, -600)
    expect(page.locator("#messages[data-following=false]")).to_be_attached()
    expect(page.locator("#jump")).to_be_hidden()  # there is nothing new to jump to


def test_conversations_are_renamed_and_deleted(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    page.get_by_role("button", name="Conversation options", exact=True).click()
    page.locator("#conversation-menu").get_by_text("Rename").click()
    page.locator("#conversation-menu").get_by_label("Title").fill("Reasons")
    page.locator("#conversation-menu").get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="Reasons")).to_be_visible()
    expect(page.locator("#conversation-menu")).to_be_hidden()  # the socket may show the title before the response
    page.get_by_role("button", name="Conversation options", exact=True).click()
    page.locator("#conversation-menu").get_by_text("Delete", exact=True).click()
    page.locator("#conversation-menu").get_by_role("button", name="Delete conversation").click()
    expect(page.get_by_text("Conversation deleted.")).to_be_visible()
    expect(page.get_by_role("link", name="Reasons")).to_have_count(0)


def test_long_lines_of_code_wrap_on_demand(signed_in: Page, shared_endpoint: Endpoint):
    async def code(exchange: Exchange) -> None:
        await exchange.answer("```python\nprint(" + "'a long line', " * 40 + ")\n```\n")
        await exchange.finish()

    page, shared_endpoint.respond = signed_in, code
    ask(page, "Print a long line")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    wrap = page.get_by_role("button", name="Wrap")
    for pressed in (False, True, False):
        expect(wrap).to_have_attribute("aria-pressed", str(pressed).lower())
        overflows = page.locator("figure.code pre").evaluate("element => element.scrollWidth > element.clientWidth")
        assert overflows != pressed
        wrap.click()
