"""A whole conversation with the keyboard only, from signing in to deleting it."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_up
from tests.browser.test_review import press_until
from tests.endpoint import Endpoint, Exchange
from tests.site import PASSWORD, Site


async def answer(exchange: Exchange) -> None:
    question = exchange.body["messages"][-1]["content"]
    await exchange.reason("A thought.")
    if question == "Never mind":
        await exchange.gate("never")
    await exchange.answer(f"Answer {len(exchange.body['messages'])} to {question}:\n\n```\ncode\n```\n")
    await exchange.finish()


def press(page: Page, name: str, *, back: bool = False, by: str = "Enter") -> None:
    press_until(page, "Shift+Tab" if back else "Tab", name)
    page.keyboard.press(by)


def test_a_conversation_with_the_keyboard_only(page: Page, shared_site: Site, shared_endpoint: Endpoint):
    shared_endpoint.respond = answer
    name = sign_up(page, shared_site)
    press(page, name)
    press(page, "Sign out")
    page.wait_for_url(f"{shared_site.url}/accounts/login/**")
    while page.evaluate("document.activeElement.name") != "login":
        page.keyboard.press("Tab")
    page.keyboard.type(name)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{shared_site.url}/")

    expect(page.locator("#composer textarea")).to_be_focused()  # Chromium focuses it with the first frame that it draws
    page.keyboard.type("Never mind")
    page.keyboard.press("Enter")
    expect(page.locator("article[data-status=thinking]")).to_be_visible()
    press(page, "Stop")
    expect(page.locator("article[data-status=stopped]")).to_be_visible()
    press(page, "Edit", back=True)
    expect(page.locator(".edit-form textarea")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("Why?")
    page.keyboard.press("Enter")
    complete = page.locator("article[data-role=assistant][data-status=complete]")
    expect(complete).to_contain_text("to Why?")

    press(page, "Thought", back=True)
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    press(page, "Regenerate")
    expect(page.locator("footer .versions")).to_contain_text("2 / 2")
    expect(complete).to_contain_text("to Why?")
    press(page, "Previous version", back=True)
    expect(page.locator("footer .versions")).to_contain_text("1 / 2")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    press(page, "Copy", back=True)
    expect(page.locator("#announcer")).to_have_text("Copied")
    assert "```\ncode\n```" in page.evaluate("navigator.clipboard.readText()")

    press(page, "Conversation options", back=True)
    expect(page.locator("#conversation-menu summary").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#conversation-menu").get_by_label("Title")).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("By hand")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="By hand")).to_be_visible()
    press(page, "Conversation options", back=True)
    expect(page.locator("#conversation-menu summary").first).to_be_focused()
    press(page, "Delete")
    press(page, "Delete conversation")
    page.wait_for_url(f"{shared_site.url}/")
    expect(page.get_by_text("Your conversations will appear here.")).to_be_visible()
