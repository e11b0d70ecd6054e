"""The command palette by keyboard, search beside the list of conversations, and arriving at what was found."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.layout import check_layout
from tests.browser.test_accessibility import COLOUR_RULES, EVERY_RULE, Axe
from tests.endpoint import Endpoint, Exchange
from tests.rendering.test_steps import THOUGHTS
from tests.site import Site

THOUGHT = THOUGHTS["r1-migration"]


async def think(exchange: Exchange) -> None:
    await exchange.reason(THOUGHT)
    await exchange.answer("Start with the **medlar** tree.\n\n" + "A paragraph. " * 300 + "\n\nThe Medlar is last.")
    await exchange.finish()


@pytest.fixture
def conversation(signed_in: Page, shared_endpoint: Endpoint) -> str:
    """The address of a conversation whose answer has several screens."""
    shared_endpoint.respond = think
    ask(signed_in, "How do we move the orchard?")
    signed_in.wait_for_url("**/conversations/**")  # loaded, scripts too
    expect(signed_in.locator("article[data-status=complete]")).to_be_visible()
    return signed_in.url


def check_rules(page: Page, state: str) -> None:
    for theme, options in (("dark", COLOUR_RULES), ("light", EVERY_RULE)):
        page.emulate_media(color_scheme=theme)
        result = Axe().run(page, options=options)
        assert result.violations_count == 0, f"{state}, {theme}:\n{result.generate_report()}"


def check(page: Page, state: str) -> None:
    check_rules(page, state)
    check_layout(page, state)


def active(page: Page) -> str:
    """Return the text of the option that is active, and check that it is the only one that is selected."""
    option = page.locator(".palette [aria-selected=true]")
    expect(option).to_have_count(1)
    assert page.locator(".palette [role=combobox]").get_attribute("aria-activedescendant") == option.get_attribute("id")
    return re.sub(r"\s+", " ", option.inner_text())


def test_the_palette_finds_conversations_and_commands_by_keyboard(conversation: str, signed_in: Page):
    page, palette, field = signed_in, signed_in.locator(".palette"), signed_in.locator(".palette [role=combobox]")
    composer = page.locator("#composer textarea")
    composer.focus()
    page.keyboard.press("Control+k")
    expect(field).to_be_focused()
    assert "How do we move the orchard?" in active(page)  # the newest conversation
    check(page, "recent conversations")
    page.keyboard.press("ArrowUp")
    assert active(page) == "Sign out"
    page.keyboard.press("ArrowDown")
    assert "orchard" in active(page)
    page.keyboard.press("End")
    assert active(page) == "Sign out"
    page.keyboard.press("Home")
    assert "orchard" in active(page)
    page.keyboard.press("Escape")
    expect(palette).to_be_hidden()
    expect(composer).to_be_focused()

    page.keyboard.press("Control+k")
    page.keyboard.type("backlog")
    expect(palette.locator("[role=status]")).to_have_text("1 result")
    expect(palette.locator("mark").first).to_have_text("backlog")
    assert "Reasoning" in active(page)
    check(page, "a result")
    page.keyboard.press("ArrowDown")
    assert active(page) == "Show all results"
    field.fill("zebra crossing")
    expect(palette.locator("[role=status]")).to_have_text("No results in your conversations.")
    field.fill("keyboard")
    assert active(page) == "Keyboard shortcuts"  # without waiting for the server
    page.keyboard.press("Enter")
    expect(palette).to_be_hidden()
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")

    page.keyboard.press("Control+k")
    page.keyboard.type("theme dark")
    with page.expect_event("load"):
        page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.url == conversation
    page.keyboard.press("Control+k")
    page.keyboard.type("rename")
    page.keyboard.press("Enter")
    expect(page.locator("#conversation-menu").get_by_text("Rename")).to_be_focused()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+Shift+O")
    page.wait_for_url(lambda url: url.endswith("/"))
    expect(page.get_by_role("heading", name="New conversation")).to_be_visible()


def test_the_first_option_is_of_what_was_typed_last(conversation: str, signed_in: Page):
    """Enter before the results arrive waits for them, and a late response replaces nothing newer."""
    page = signed_in
    page.locator("#composer textarea").focus()
    held = []
    page.route(re.compile(r"/palette/\?q=medlar"), lambda route: held.append(route))
    page.keyboard.press("Control+k")
    with page.expect_request(re.compile(r"/palette/\?q=medlar")):
        page.keyboard.type("medlar")
    page.keyboard.press("Control+a")
    page.keyboard.type("orchard")
    expect(page.locator(".palette [role=status]")).to_have_text("2 results")
    for route in held:
        route.continue_()
    assert "orchard" in active(page)
    # What was typed or closed after Enter opens nothing.
    page.evaluate("addEventListener('click', ({ target }) => { chosen = target.closest('[role=option]'); })")
    page.evaluate("chosen = null")
    for key in ("s", "Escape"):
        page.locator(".palette [role=combobox]").fill("medlar")
        page.keyboard.press("Enter")
        page.keyboard.press(key)
    expect(page.locator(".palette")).to_be_hidden()
    page.keyboard.press("Control+k")
    page.locator(".palette [role=combobox]").fill("backlog")
    expect(page.locator(".palette [role=status]")).to_have_text("1 result")
    assert page.evaluate("chosen") is None
    page.keyboard.press("Enter")
    page.wait_for_url("**/reasoning/?q=backlog#step-*")


def test_a_result_is_reached_and_its_words_are_highlighted_until_escape(conversation: str, signed_in: Page):
    page = signed_in
    page.keyboard.press("Control+k")
    page.keyboard.type("medlar")
    expect(page.locator(".palette [role=status]")).to_have_text("1 result")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?found=*&find=medlar#message-*")
    marked = page.locator(".messages mark")
    expect(marked).to_have_text(["medlar", "Medlar"])
    message = page.locator("article[data-role=assistant]")
    top = message.evaluate("element => element.getBoundingClientRect().top")
    assert 0 <= top < 430
    page.keyboard.press("Escape")
    expect(marked).to_have_count(0)
    assert page.url.split("#")[0] == conversation
    assert message.evaluate("element => element.getBoundingClientRect().top") == top

    page.keyboard.press("Control+k")
    page.keyboard.type("backlog")
    expect(page.locator(".palette [role=status]")).to_have_text("1 result")
    page.keyboard.press("Enter")
    page.wait_for_url("**/reasoning/?q=backlog#step-*")
    expect(page.locator(".reading-step:target mark").first).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(page.locator(".reading mark")).to_have_count(0)


def test_search_is_a_page_beside_the_list_also_without_a_script(
    conversation: str, signed_in: Page, open_page: Callable[..., Page], shared_site: Site
):
    page = signed_in
    page.goto(f"{shared_site.url}/search/?q=medlar")
    check(page, "the page of search")
    page.get_by_role("link", name="Search").click()
    expect(page.locator(".palette")).to_be_visible()
    page.keyboard.type("orchard")
    page.locator(".palette").get_by_text("Show all results").click()
    page.wait_for_url("**/search/?q=orchard")
    expect(page.locator(".found li")).to_have_count(2)

    phone = open_page(java_script_enabled=False, viewport={"width": 360, "height": 740})
    phone.context.add_cookies(page.context.cookies())
    phone.goto(shared_site.url)
    phone.get_by_role("button", name="Conversations").click()
    phone.get_by_role("link", name="Search").click()
    phone.wait_for_url("**/search/")
    phone.fill("#id_q", "medlar")
    phone.get_by_role("button", name="Search").click()
    phone.get_by_role("link", name="How do we move").click()
    expect(phone.locator("article[data-role=assistant]")).to_be_in_viewport()


def test_signing_out_by_the_palette_deletes_drafts(conversation: str, signed_in: Page, shared_site: Site):
    page = signed_in
    page.locator("#composer textarea").fill("For nobody else's eyes")
    page.goto(f"{shared_site.url}/search/")
    assert page.evaluate("Object.keys(localStorage).length") == 1
    page.keyboard.press("Control+k")
    page.keyboard.type("sign out")
    page.keyboard.press("Enter")
    page.wait_for_url("**/accounts/**")
    assert page.evaluate("Object.keys(localStorage).length") == 0


def test_the_palette_fills_a_phone(conversation: str, open_page: Callable[..., Page], signed_in: Page):
    phone = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True)
    phone.context.add_cookies(signed_in.context.cookies())
    phone.goto(conversation)
    phone.get_by_role("button", name="Conversations").click()
    phone.get_by_role("link", name="Search").click()
    assert phone.locator(".palette").bounding_box() == {"x": 0, "y": 0, "width": 360, "height": 740}
    phone.get_by_role("button", name="Close").click()
    expect(phone.locator(".palette")).to_be_hidden()
