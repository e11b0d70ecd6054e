"""Share a conversation, read it as another person and as nobody, continue in a copy, revoke, delete."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import sign_in
from tests.browser.test_accessibility import ANSWER, check
from tests.endpoint import Endpoint, Exchange
from tests.site import Person, Site


async def think_and_answer(exchange: Exchange) -> None:
    await exchange.reason("A thought.")
    await exchange.answer(ANSWER)
    await exchange.finish()


def create_link(page: Page, *choices: str) -> str:
    """Create a link by the menu of the conversation that is open; return its address."""
    page.get_by_role("button", name="Conversation options", exact=True).click()
    page.locator("#conversation-menu").get_by_role("link", name="Share").click()
    for choice in choices:
        page.get_by_label(choice).check()
    check(page, "the form that creates a link")
    page.get_by_role("button", name="Create link").click()
    expect(page.get_by_role("status")).to_contain_text("Link created")
    check(page, "a link that was created")
    link = page.get_by_label("Link", exact=True).first.input_value()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == link
    return link


@pytest.mark.parametrize("width", [1280, 360])
def test_a_conversation_is_shared_copied_revoked_and_deleted(
    width: int,
    endpoint: Endpoint,
    make_site: Callable[..., Site],
    join: Callable[..., Person],
    open_page: Callable[..., Page],
):
    site = make_site(SHARING="public")
    endpoint.respond = think_and_answer
    ada, ben = join(site, "ada"), join(site, "ben")
    conversation = ada.ask("Why is the sky blue?")
    ada.await_end(conversation)
    viewport = {"width": width, "height": 800}
    owner, reader, nobody = (open_page(viewport=viewport) for _ in range(3))
    sign_in(owner, ada)
    sign_in(reader, ben)
    owner.goto(site.url + conversation)
    public = create_link(owner, "Everyone who has the link, without signing in", "Include the reasoning")

    # As nobody.
    response = nobody.goto(public)
    assert response.headers["x-robots-tag"] == "noindex"
    expect(nobody.get_by_role("heading", name="Why is the sky blue?", exact=True)).to_be_visible()
    nobody.locator("summary").filter(has_text="Thought").click()
    expect(nobody.locator(".reasoning-text")).to_contain_text("A thought.")
    check(nobody, "a shared conversation")
    nobody.emulate_media(media="print")
    expect(nobody.get_by_role("link", name="Continue in your own copy")).to_be_hidden()
    expect(nobody.locator(".reasoning-text")).to_be_visible()
    nobody.emulate_media(media="screen")
    nobody.get_by_role("link", name="Continue in your own copy").click()
    nobody.wait_for_url("**/accounts/login/?next=/shared/*/copy/")

    # As another person, who continues.
    reader.goto(public)
    requests = []
    reader.on("request", lambda request: requests.append(request.all_headers()))
    reader.get_by_role("link", name="Continue in your own copy").press("Enter")
    check(reader, "the page that copies")
    reader.get_by_role("button", name="Continue in your own copy").press("Enter")
    reader.wait_for_url("**/conversations/*/")
    copy = reader.url
    assert not any(public in headers.get("referer", "") for headers in requests)
    expect(reader.locator("main")).to_contain_text("Imported from a shared link")
    check(reader, "a copy")
    reader.fill("#composer textarea", "And at night?")
    reader.keyboard.press("Enter")
    expect(reader.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)

    # For people who sign in: nobody is asked to, and gets there.
    ada.post(f"{conversation}share/")
    owner.goto(f"{site.url}/shares/")
    link = owner.get_by_label("Link", exact=True).first.input_value()
    nobody.goto(link)
    nobody.wait_for_url("**/accounts/login/?next=/shared/*/")

    # Revoked, then deleted: links end, and the copy stays.
    owner.reload()
    expect(owner.locator(".share-list")).to_contain_text("2 visits")
    check(owner, "the list of links")
    owner.get_by_role("button", name="Revoke").last.click()
    expect(owner.get_by_role("status")).to_contain_text("Link revoked")
    for page in (nobody, reader):
        assert page.goto(public).status == 404
        expect(page.get_by_role("heading", name="This link does not work")).to_be_visible()
    check(nobody, "a link that does not work")
    assert reader.goto(link).status == 200
    ada.post(f"{conversation}delete/")
    assert reader.goto(link).status == 404
    assert reader.goto(copy).status == 200
    expect(reader.locator("article[data-role=user]").first).to_contain_text("Why is the sky blue?")
    tokens = [address.rstrip("/").rsplit("/", 1)[1] for address in (public, link)]
    assert not any(token in line for token in tokens for line in site.lines)
