"""The list of conversations in the browser: menus of rows, groups, and a hidden sidebar."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.test_palette import check, check_rules
from tests.endpoint import Endpoint
from tests.site import Person

ROWS = ".sidebar .conversation-list li"
FOCUSED_ROW = "document.activeElement.closest('li')?.innerText.trim()"


@pytest.fixture
def ada(make_person: Callable[[], Person], shared_endpoint: Endpoint) -> Person:
    return make_person()


def asked(person: Person, *questions: str) -> list[str]:
    """Return the paths of conversations with one answer each, the newest last."""
    conversations = []
    for question in questions:
        conversations.append(person.ask(question))
        person.await_end(conversations[-1])
    return conversations


def opened(open_page: Callable[..., Page], person: Person, path: str, **options: object) -> Page:
    page = open_page(**options)
    cookies = person.http.cookies.items()
    page.context.add_cookies([{"name": name, "value": value, "url": person.site.url} for name, value in cookies])
    page.goto(person.site.url + path)
    return page


def rows(page: Page, heading: str) -> list[str]:
    return page.get_by_role("list", name=heading, exact=True).locator("li").all_inner_texts()


def test_a_row_is_renamed_pinned_archived_and_deleted_with_the_keyboard(open_page: Callable[..., Page], ada: Person):
    *_, second, _ = asked(ada, "First?", "Second?", "Third?")
    page = opened(open_page, ada, "/")
    menu = page.locator("#row-menu")

    def choose(row: str, option: str) -> None:
        page.get_by_role("button", name=f"Conversation options for {row}").focus()
        page.keyboard.press("Enter")
        expect(menu.locator("summary").first).to_be_focused()
        while option != page.evaluate("document.activeElement.innerText"):
            page.keyboard.press("ArrowDown")

    choose("Second?", "Delete")
    page.keyboard.press("ArrowDown")
    expect(menu.get_by_text("Rename")).to_be_focused()  # from the last to the first
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    assert page.evaluate(FOCUSED_ROW) == "Second?"

    choose("Second?", "Rename")
    page.keyboard.press("Enter")
    expect(menu.get_by_label("Title")).to_be_focused()
    page.keyboard.type(" ")
    page.keyboard.press("Enter")
    expect(menu.get_by_role("alert").first).to_contain_text("Enter 1 to 80 characters")
    check_rules(page, "the menu of a row")
    page.keyboard.type("Renamed")
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    assert page.evaluate(FOCUSED_ROW) == "Renamed"
    assert rows(page, "Today") == ["Third?", "Renamed", "First?"]

    choose("Renamed", "Pin")
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    assert (rows(page, "Pinned"), rows(page, "Today")) == (["Renamed"], ["Third?", "First?"])
    assert page.evaluate(FOCUSED_ROW) == "Renamed"
    page.reload()
    assert (rows(page, "Pinned"), rows(page, "Today")) == (["Renamed"], ["Third?", "First?"])
    choose("Renamed", "Unpin")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Pinned")).to_be_hidden()
    assert rows(page, "Today") == ["Third?", "Renamed", "First?"]

    choose("Renamed", "Archive")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(2)
    assert page.evaluate(FOCUSED_ROW) == "First?"  # which took its place
    choose("First?", "Delete")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(ROWS)).to_have_count(1)
    assert page.evaluate(FOCUSED_ROW) == "Third?"
    assert ada.http.get(second).status_code == 200
    page.goto(f"{ada.site.url}/conversations/archived/")
    expect(page.get_by_role("link", name="Renamed")).to_be_visible()
    page.get_by_label("Delete Renamed").click()
    check(page, "archived conversations")


def test_a_row_that_changes_while_its_menu_is_open_keeps_menu_and_focus(open_page: Callable[..., Page], ada: Person):
    first, second = asked(ada, "First?", "Second?")
    page = opened(open_page, ada, second)
    page.get_by_role("button", name="Conversation options for First?").click()
    menu = page.locator("#row-menu")
    menu.get_by_text("Rename").click()
    expect(menu.get_by_label("Title")).to_be_focused()
    page.keyboard.type("My ti")
    ada.ask("And then?", first)
    expect(page.locator(ROWS).first).to_contain_text("First?")  # moved to the top
    page.keyboard.type("tle")
    expect(menu.get_by_label("Title")).to_have_value("My title")
    ada.post(f"{first}pin/", pinned="1")
    expect(page.get_by_role("list", name="Pinned").locator("li")).to_contain_text(["First?"])
    expect(menu.get_by_label("Title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Conversation options for First?")).to_be_focused()
    page.get_by_role("button", name="Conversation options for Second?").click()
    page.get_by_role("button", name="Conversation options for First?").click()  # one click leads from menu to menu
    menu.get_by_text("Rename").click()
    expect(menu.get_by_label("Title")).to_have_value("First?")
    page.keyboard.press("Escape")
    ada.post(f"{first}archive/", archived="1")
    expect(page.locator(ROWS)).to_have_count(1)


def test_the_pages_own_menu_and_notice_follow_changes_elsewhere(open_page: Callable[..., Page], ada: Person):
    [here] = asked(ada, "Here?")
    page = opened(open_page, ada, here)
    options = page.get_by_role("button", name="Conversation options", exact=True)
    notice = page.get_by_text("This conversation is archived.")
    ada.post(f"{here}archive/", archived="1")
    expect(notice).to_be_visible()
    expect(page.locator(ROWS)).to_have_count(0)
    expect(page.get_by_text("Your conversations will appear here.")).to_be_visible()
    options.click()
    menu = page.locator("#conversation-menu")
    expect(menu.get_by_role("button", name="Archive", exact=True)).to_be_hidden()
    menu.get_by_role("button", name="Unarchive").click()
    expect(notice).to_be_hidden()
    expect(page.locator(ROWS)).to_have_text(["Here?"])
    expect(page.locator(ROWS).get_by_role("link")).to_have_attribute("aria-current", "page")
    expect(options).to_be_focused()
    options.click()
    menu.get_by_role("button", name="Archive", exact=True).click()
    page.locator("#placement").get_by_role("button", name="Unarchive").click()
    expect(notice).to_be_hidden()
    expect(page.locator(ROWS)).to_have_text(["Here?"])


def test_older_conversations_join_the_groups_of_the_list(open_page: Callable[..., Page], ada: Person):
    here, *_ = asked(ada, "Here?")
    make = f"""
from datetime import timedelta
from django.utils import timezone
from conversations.models import Conversation
here = Conversation.objects.get(pk="{here.split("/")[2]}")
for day in range(2, 60):
    at = timezone.now() - timedelta(days=day)
    Conversation.objects.create(owner=here.owner, title=f"Day {{day}}", updated_at=at)
"""
    made = ada.site.manage("shell", "--no-imports", "--command", make)
    assert made.returncode == 0, made.stderr
    page = opened(open_page, ada, here)
    assert rows(page, "Previous 30 days") == [f"Day {day}" for day in range(8, 31)]
    page.get_by_role("link", name="Older conversations").click()
    expect(page.get_by_role("link", name="Day 31")).to_be_focused()
    expect(page.locator(ROWS)).to_have_count(59)
    headings = page.locator(".sidebar .list-heading:visible").all_inner_texts()
    assert len(headings) == len(set(headings))
    shown = page.locator(ROWS).all_inner_texts()
    page.get_by_role("button", name="Conversation options for Day 40").click()
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.get_by_role("list", name="Pinned").locator("li")).to_have_text(["Day 40"])
    page.get_by_role("button", name="Conversation options for Day 40").click()
    page.get_by_role("button", name="Unpin", exact=True).click()
    expect(page.get_by_role("heading", name="Pinned")).to_be_hidden()
    assert page.locator(ROWS).all_inner_texts() == shown


def test_a_menu_on_a_phone_does_not_call_up_the_keyboard(open_page: Callable[..., Page], ada: Person):
    _, here = asked(ada, "First?", "Here?")
    page = opened(open_page, ada, here, viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
    page.get_by_role("button", name="Conversation options", exact=True).tap()
    expect(page.locator("#conversation-menu").get_by_text("Rename")).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Conversations", exact=True).tap()
    options = page.get_by_role("button", name="Conversation options for First?")
    box = options.bounding_box()
    assert min(box["width"], box["height"]) >= 44
    options.tap()
    expect(page.locator("#row-menu").get_by_text("Rename")).to_be_focused()
    page.locator("#row-menu").get_by_text("Rename").tap()
    expect(page.locator("#row-menu").get_by_label("Title")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#row-menu")).to_be_hidden()
    expect(options).to_be_focused()  # in the drawer, which stays open
    page.keyboard.press("Escape")
    page.get_by_role("link", name="New conversation").tap()
    page.wait_for_url(re.compile(r"/$"))


def test_a_hidden_sidebar_stays_hidden_on_this_device(open_page: Callable[..., Page], ada: Person):
    [here] = asked(ada, "Here?")
    page = opened(open_page, ada, here)
    sidebar = page.locator("#sidebar")
    page.get_by_role("button", name="Hide conversations").press("Enter")
    expect(sidebar).to_be_hidden()
    expect(page.get_by_role("button", name="Conversations", exact=True)).to_be_focused()
    page.reload()
    expect(page.locator("#composer textarea")).to_be_focused()
    expect(sidebar).to_be_hidden()
    page.get_by_role("link", name="New conversation").click()
    page.wait_for_url(re.compile(r"/$"))
    expect(sidebar).to_be_hidden()
    page.keyboard.press("Control+b")
    expect(sidebar).to_be_visible()
    expect(page.locator("#composer textarea")).to_be_focused()
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(sidebar).to_be_visible()
