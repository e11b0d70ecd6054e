"""Open pages when the person signs out or deletes the conversation elsewhere."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint
from tests.site import Site


def test_signing_out_in_one_tab_is_shown_in_the_other(signed_in: Page, shared_site: Site, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    other = page.context.new_page()
    other.goto(f"{shared_site.url}/accounts/logout/")
    other.get_by_role("button", name="Sign out").click()
    expect(page.get_by_text("You are signed out.")).to_be_visible()


def test_deleting_a_conversation_in_one_tab_is_shown_in_the_other(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    other = page.context.new_page()
    other.goto(page.url)
    other.get_by_role("button", name="Conversation options", exact=True).click()
    other.locator("#conversation-menu").get_by_text("Delete", exact=True).click()
    other.locator("#conversation-menu").get_by_role("button", name="Delete conversation").click()
    expect(page.get_by_text("This conversation was deleted.")).to_be_visible()


def test_a_page_that_reconnects_without_a_session_shows_a_notice(page: Page, site: Site, endpoint: Endpoint):
    sign_up(page, site)
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    site.kill()
    page.context.clear_cookies()
    site.start()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
