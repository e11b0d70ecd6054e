"""Small behaviours that matter in everyday use: drafts, copying, rating, times, the list of conversations."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange
from tests.site import Site

TYPE_BEFORE_THE_NEXT_PAGE = """document.addEventListener("htmx:afterRequest", () => setTimeout(() => {
  const field = document.getElementById("composer-content");
  field.value += "!";
  field.dispatchEvent(new Event("input", { bubbles: true }));
}))"""


async def wait_and_answer(exchange: Exchange) -> None:
    await exchange.reason("A thought.")
    await exchange.gate("thought")
    await exchange.answer("An answer.")
    await exchange.finish()


def test_a_draft_is_restored_in_its_conversation(signed_in: Page, shared_site: Site):
    page, field = signed_in, signed_in.locator("#composer textarea")
    ask(page, "Why?")
    page.wait_for_url(re.compile("/conversations/"))
    conversation = page.url
    field.fill("Half a thou")
    page.goto(shared_site.url)
    expect(field).to_have_value("")
    page.goto(conversation)
    expect(field).to_have_value("Half a thou")
    expect(field).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.type("ght")
    page.reload()
    expect(field).to_have_value("Half a thought")
    page.keyboard.press("Enter")
    expect(page.locator("article[data-role=user]")).to_have_count(2)
    expect(field).to_have_value("")
    page.reload()
    expect(field).to_have_value("")


def test_sending_a_first_prompt_and_signing_out_delete_drafts(signed_in: Page, shared_site: Site):
    page, field, held = signed_in, signed_in.locator("#composer textarea"), []
    page.route("**/conversations/", lambda route: held.append(route))
    ask(page, "Why?")
    expect(page.locator("#announcer")).to_have_text("Sending…")
    page.keyboard.press("End")
    page.keyboard.type(" And how?")  # the beginning of the next prompt
    page.evaluate(TYPE_BEFORE_THE_NEXT_PAGE)
    held[0].continue_()
    page.wait_for_url(re.compile("/conversations/."))
    expect(field).to_have_value("And how?!")
    page.goto(shared_site.url)
    expect(field).to_have_value("")
    field.fill("For nobody else's eyes")
    assert page.evaluate("Object.keys(localStorage).length") == 2
    page.locator(".account summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url(re.compile("/accounts/"))
    assert page.evaluate("Object.keys(localStorage).length") == 0


def test_a_heading_in_the_list_is_hidden_without_entries(signed_in: Page, shared_site: Site):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url(re.compile("/conversations/"))
    today = page.locator(".sidebar").get_by_role("heading", name="Today")
    expect(today).to_be_visible()
    key = page.url.rstrip("/").rsplit("/", 1)[-1]
    long_ago = f"Conversation.objects.filter(pk='{key}').update(updated_at='2020-01-15T00:00Z')"
    made = shared_site.manage("shell", "--command", f"from conversations.models import Conversation; {long_ago}")
    assert made.returncode == 0, made.stderr
    page.goto(shared_site.url)
    expect(page.locator(".sidebar").get_by_role("heading", name="January 2020")).to_be_visible()
    expect(today).to_be_hidden()
    ask(page, "Why not?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(today).to_be_visible()


def test_the_title_of_a_background_tab_shows_that_an_answer_is_ready(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = wait_and_answer
    ask(page, "Why?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(page.locator("article[data-status=thinking]")).to_be_visible()
    title = page.title()
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
    shared_endpoint.open("thought")
    expect(page).to_have_title(f"Answer ready · {title}")
    page.evaluate("delete document.hidden, document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_title(title)


def test_an_answer_is_copied_as_markdown_and_with_its_reasoning(signed_in: Page):
    page = signed_in
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    ask(page, "Why?")
    page.wait_for_url(re.compile("/conversations/"))  # loaded, scripts too
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    page.get_by_role("link", name="Copy this answer").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "**9.8** is greater than 9.11."
    page.get_by_role("button", name="More for this answer").click()
    page.evaluate("document.getElementById('announcer').textContent = ''")
    page.get_by_role("link", name="Copy with reasoning").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith(
        "Let me think. Both are decimals.\n\n---\n\n**9.8**"
    )


def complete_answer_with_code(page: Page, endpoint: Endpoint) -> None:
    async def respond(exchange: Exchange) -> None:
        await exchange.answer("```python\nprint(1)\n```\n")
        await exchange.finish()

    endpoint.respond = respond
    ask(page, "Print 1")
    page.wait_for_url(re.compile("/conversations/"))  # loaded, scripts too
    expect(page.locator("article[data-status=complete]")).to_be_visible()


@pytest.mark.parametrize("selector", ["[data-copy]", ".tools > [data-copy-from]"])
def test_a_copy_button_gets_its_text_back_after_two_clicks(signed_in: Page, shared_endpoint: Endpoint, selector: str):
    page = signed_in
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    complete_answer_with_code(page, shared_endpoint)
    button = page.locator(selector)
    text = button.inner_text()
    page.clock.install(time=0)
    page.clock.pause_at(1_000)
    for _ in range(2):
        page.evaluate("document.getElementById('announcer').textContent = ''")
        button.click()
        expect(page.locator("#announcer")).to_have_text("Copied")
    expect(button).to_contain_text("Copied")
    page.clock.run_for(5_000)
    expect(button).to_have_text(text)


REJECT_COPYING = """() => {
  navigator.clipboard.writeText = () => Promise.reject(new DOMException("", "NotAllowedError"));
}"""


@pytest.mark.parametrize("selector", ["[data-copy]", ".tools > [data-copy-from]"])
def test_a_rejected_copy_is_reported(signed_in: Page, shared_endpoint: Endpoint, selector: str):
    page = signed_in
    complete_answer_with_code(page, shared_endpoint)
    page.evaluate(REJECT_COPYING)
    page.locator(selector).click()
    expect(page.locator(selector)).to_contain_text("Copy failed")
    expect(page.locator("#announcer")).to_have_text("Copy failed")


FORM_IS_ABOVE_COMPOSER = """async () => {
  for (let frames = 2; frames; frames--) await new Promise(requestAnimationFrame);
  const box = (selector) => document.querySelector(selector).getBoundingClientRect();
  return box(".rating-form").bottom <= box(".composer-dock").top;
}"""


def test_an_answer_is_rated_by_one_click_and_a_comment_can_follow(signed_in: Page):
    page = signed_in
    page.set_viewport_size({"width": 1280, "height": 420})
    ask(page, "Why?")
    page.wait_for_url(re.compile("/conversations/"))  # loaded, scripts too
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    poor = page.get_by_role("button", name="Poor answer")
    poor.focus()
    page.keyboard.press("Enter")
    expect(poor).to_have_attribute("aria-pressed", "true")
    expect(poor).to_be_focused()
    assert page.evaluate(FORM_IS_ABOVE_COMPOSER)  # the page still shows its end
    page.get_by_label("What was good or poor about it?").fill("Too short")
    page.locator(".rating-form").get_by_role("button", name="Send feedback").click()
    expect(page.locator(".rating-said")).to_have_text("Thank you. Feedback saved.")
    page.reload()
    expect(poor).to_have_attribute("aria-pressed", "true")
    poor.click()
    expect(poor).to_have_attribute("aria-pressed", "false")


def rename(page: Page, title: str) -> None:
    menu = page.locator("#conversation-menu")
    page.get_by_role("button", name="Conversation options", exact=True).click()
    menu.get_by_text("Rename", exact=True).click()
    menu.get_by_label("Title").fill(title)
    menu.get_by_role("button", name="Save").click()
    expect(menu).to_be_hidden()  # other tabs show the title sooner


def test_the_list_of_conversations_shows_changes_from_other_tabs(
    signed_in: Page, shared_endpoint: Endpoint, shared_site: Site
):
    page, entries = signed_in, signed_in.locator(".conversation-list li:visible")
    ask(page, "The first question?")
    page.wait_for_url(re.compile("/conversations/"))
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    other = page.context.new_page()
    other.goto(shared_site.url)
    shared_endpoint.respond = wait_and_answer
    ask(other, "The second question?")
    expect(entries).to_have_text([re.compile("The second question.*answer in progress"), "The first question?"])
    shared_endpoint.open("thought")
    expect(entries).to_have_text(["The second question?", "The first question?"])
    ask(page, "And then?")
    expect(entries.first).to_contain_text("The first question?")
    expect(entries).to_have_count(2)
    expect(entries.first.get_by_role("link")).to_have_attribute("aria-current", "page")
    rename(other, "Renamed elsewhere")
    expect(entries.nth(1)).to_have_text("Renamed elsewhere")
    third = page.context.new_page()
    third.goto(other.url)
    rename(other, "Renamed once more")
    expect(third).to_have_title(re.compile("^Renamed once more · "))
    other.get_by_role("button", name="Conversation options", exact=True).click()
    other.locator("#conversation-menu").get_by_text("Delete", exact=True).click()
    other.locator("#conversation-menu").get_by_role("button", name="Delete conversation").click()
    expect(entries).to_have_count(1)
