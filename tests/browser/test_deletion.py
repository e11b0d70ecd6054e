"""Somebody deletes their account by keyboard, while an answer is being written and shown in another tab."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.browser.test_accessibility import check
from tests.endpoint import Endpoint, Exchange
from tests.site import PASSWORD, WAIT, Site


def test_an_account_is_deleted_by_keyboard(page: Page, shared_site: Site, shared_endpoint: Endpoint):
    exchanges: list[Exchange] = []

    async def write_for_ever(exchange: Exchange) -> None:
        exchanges.append(exchange)
        await exchange.answer("So much")
        await exchange.gate("never")

    shared_endpoint.respond = write_for_ever
    name = sign_up(page, shared_site)
    ask(page, "Why?")
    expect(page.locator(".prose")).to_contain_text("So much")
    other = page.context.new_page()
    other.goto(f"{shared_site.url}/preferences/")
    other.get_by_role("link", name="Delete your account").focus()
    other.keyboard.press("Enter")
    other.wait_for_url("**/accounts/reauthenticate/**")
    other.get_by_label("Password").focus()
    other.keyboard.type(PASSWORD)
    other.keyboard.press("Enter")
    other.wait_for_url("**/account/delete/")
    for username in ("somebody else", name):
        other.get_by_label("Your username").focus()
        other.keyboard.press("ControlOrMeta+A")
        other.keyboard.type(username)
        other.keyboard.press("Tab")
        other.keyboard.press("Enter")
        if username != name:
            expect(other.get_by_text("This is not your username")).to_be_visible()
            check(other, "deletion")
    expect(other.get_by_text("Your account and your conversations have been deleted")).to_be_visible()
    check(other, "a deleted account")
    assert exchanges[0].closed_by_client.wait(WAIT)
    expect(page.get_by_text("You are signed out.")).to_be_visible()  # the socket is closed
    assert shared_site.rows("select id from conversations_user where username = ?", name) == []
