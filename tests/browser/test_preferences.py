"""A person's preferences: colours, when reasoning is expanded, single-key shortcuts."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange
from tests.site import Site


async def think_and_wait(exchange: Exchange) -> None:
    await exchange.reason("A thought.")
    await exchange.gate("thought")
    await exchange.answer("An answer.")
    await exchange.finish()


def prefer(page: Page, site: Site, label: str) -> None:
    page.goto(f"{site.url}/preferences/")
    page.get_by_label(label).set_checked(not page.get_by_label(label).is_checked())
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Preferences saved.")).to_be_visible()
    page.goto(site.url)


@pytest.mark.parametrize(
    ("label", "shown"),
    [(None, "preview"), ("Always show", "pane"), ("Hide until I open it", "row")],
)
def test_reasoning_is_expanded_as_preferred(
    signed_in: Page,
    shared_site: Site,
    shared_endpoint: Endpoint,
    label: str | None,
    shown: str,
):
    page = signed_in
    shared_endpoint.respond = think_and_wait
    if label:
        prefer(page, shared_site, label)
    ask(page, "Why?")
    reasoning, preview, timeline = map(page.locator, (".reasoning-text", ".thought-preview", ".timeline"))
    expect(page.locator("article[data-status=thinking]")).to_be_visible()
    for _ in range(2):
        expect(reasoning).to_contain_text("A thought.")
        expect(reasoning).to_be_visible(visible=shown == "pane")
        expect(preview).to_be_visible(visible=shown == "preview")
        expect(timeline).to_be_visible(visible=shown != "row")
        page.reload()
    expect(preview).to_have_text("A thought.")
    shared_endpoint.open("thought")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    for _ in range(2):
        expect(page.locator(".step")).to_be_visible(visible=shown == "pane")
        expect(preview).to_be_hidden()
        expect(timeline).to_be_visible(visible=shown != "row")
        page.reload()


def test_times_follow_the_time_zone_of_the_browser(signed_in: Page, shared_site: Site, shared_endpoint: Endpoint):
    page = signed_in
    tokyo = {"timezoneId": "Asia/Tokyo"}
    page.context.new_cdp_session(page).send("Emulation.setTimezoneOverride", tokyo)
    page.reload()  # the page that tells it
    ask(page, "Why?")
    answered = page.locator("article[data-role=assistant][data-status=complete] time")
    expect(answered).to_have_attribute("title", re.compile("JST$"))
    page.reload()
    expect(answered).to_have_attribute("title", re.compile("JST$"))


def test_the_chosen_colours_override_the_systems(signed_in: Page, shared_site: Site):
    page = signed_in
    page.emulate_media(color_scheme="light")
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(paper)
    prefer(page, shared_site, "Dark")
    dark = page.evaluate(paper)
    assert dark != light
    page.emulate_media(color_scheme="dark")
    prefer(page, shared_site, "Light")
    assert page.evaluate(paper) == light


def test_single_keys_move_between_messages_and_can_be_switched_off(
    signed_in: Page, shared_site: Site, shared_endpoint: Endpoint
):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    field, sheet = page.locator("#composer textarea"), page.get_by_role("dialog", name="Keyboard shortcuts")
    field.fill("")
    page.keyboard.type("/?jo")
    expect(field).to_have_value("/?jo")  # typed as text in the composer
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(sheet).to_be_visible()
    page.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    page.keyboard.press("j")
    expect(page.locator("article[data-role=user]")).to_be_focused()
    page.keyboard.press("j")
    expect(page.locator("article[data-role=assistant]")).to_be_focused()
    page.keyboard.press("o")
    expect(page.locator(".reasoning-text")).to_be_visible()
    page.keyboard.press("/")
    expect(field).to_be_focused()
    url = page.url
    prefer(page, shared_site, "Use single-key shortcuts")
    page.goto(url)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(sheet).to_be_hidden()
