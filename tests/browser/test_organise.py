"""Folders, selections and undone deletions, by keyboard; and how their pages look to axe, also on a phone."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.layout import check_layout
from tests.browser.test_accessibility import check
from tests.browser.test_list import asked, opened, rows
from tests.site import Person


def test_conversations_are_organised_by_keyboard(open_page: Callable[..., Page], person: Person):
    *_, second, third = asked(person, "First?", "Second?", "Third?")
    page = opened(open_page, person, "/folders/")
    page.get_by_label("New folder").focus()
    page.keyboard.type("Trips")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Folder created.")).to_be_visible()
    page.get_by_text("Rename", exact=True).click()
    check_layout(page, "folders")
    check(page, "folders")

    page.goto(person.site.url + third)
    page.get_by_role("button", name="Conversation options for Second?").focus()
    page.keyboard.press("Enter")
    menu = page.locator("#row-menu")
    menu.get_by_text("Move to a folder").focus()
    page.keyboard.press("Enter")
    check_layout(page, "the menu of a row with folders")
    check(page, "the menu of a row with folders")
    menu.get_by_label("Folder").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(menu).to_be_hidden()
    assert rows(page, "Today") == ["Third?", "First?"]
    assert page.evaluate("document.activeElement.matches('[popovertarget=row-menu]')")
    page.locator(".folder summary").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("list", name="Trips").get_by_role("link")).to_have_text(["Second?"])
    check_layout(page, "an open folder")
    check(page, "an open folder")

    # What is asked in it comes first in its folder, whichever page shows it.
    person.ask("And?", second)
    person.await_end(second)
    expect(page.locator(".folder li")).to_have_count(1)
    page.reload()
    expect(page.locator(".folder[open]")).to_have_count(0)
    page.goto(person.site.url + second)
    expect(page.locator(".folder[open]").get_by_role("link", name="Second?")).to_have_attribute("aria-current", "page")

    page.get_by_role("button", name="Conversation options for First?").focus()
    page.keyboard.press("Enter")
    menu.get_by_text("Delete", exact=True).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    undo = page.locator("#undo")
    expect(undo).to_contain_text("Conversation deleted. You can undo this for 10 seconds.")
    assert rows(page, "Today") == ["Third?"]
    check_layout(page, "a deletion that can be undone")
    check(page, "a deletion that can be undone")
    undo.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_text("Conversation restored.")).to_be_visible()
    assert page.url == person.site.url + second
    assert rows(page, "Today") == ["Third?", "First?"]

    page.goto(f"{person.site.url}/conversations/")
    for title in ("First?", "Third?"):
        page.get_by_label(f"Select {title}").focus()
        page.keyboard.press("Space")
    page.keyboard.press("Enter")  # presses none of the buttons
    check_layout(page, "selected conversations")
    check(page, "selected conversations")
    page.get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_text("2 conversations deleted.")).to_be_visible()
    expect(page.get_by_role("checkbox")).to_have_count(1)
    check_layout(page, "deleted conversations that can be restored")
    check(page, "deleted conversations that can be restored")
    page.get_by_role("button", name="Undo").press("Enter")
    expect(page.get_by_role("checkbox")).to_have_count(3)


def test_a_saved_prompt_is_inserted_by_keyboard(open_page: Callable[..., Page], person: Person):
    person.post("/prompts/", name="Translate", text="Translate this:\n\n“Hello”")
    page = opened(open_page, person, "/")
    field = page.locator("#composer-content")
    field.fill("Please.")
    page.get_by_role("button", name="Prompts").press("Enter")
    menu = page.get_by_role("dialog", name="Saved prompts")
    translate = menu.get_by_role("button", name="Translate")
    expect(translate).to_be_visible()
    check_layout(page, "the menu of saved prompts")
    check(page, "the menu of saved prompts")
    page.keyboard.press("Tab")
    expect(translate).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_have_value("Please.\n\nTranslate this:\n\n“Hello”")
    expect(field).to_be_focused()
    expect(menu).to_be_hidden()
    page.get_by_role("button", name="Prompts").click()
    translate.click()
    expect(field).to_have_value(re.compile("“Hello”.*“Hello”", re.S))
    field.fill("Please.")
    page.goto(f"{person.site.url}/prompts/")
    page.get_by_text("Delete", exact=True).click()
    check_layout(page, "saved prompts")
    check(page, "saved prompts")
    page.get_by_role("link", name="Use Translate").click()
    expect(field).to_have_value("Please.\n\nTranslate this:\n\n“Hello”")
    page.reload()
    expect(field).to_have_value("Please.\n\nTranslate this:\n\n“Hello”")
    page.set_viewport_size({"width": 360, "height": 740})
    page.get_by_role("button", name="Prompts").click()
    expect(translate).to_be_visible()
    check(page, "the menu of saved prompts on a narrow page")


def test_folders_and_selections_on_a_phone(open_page: Callable[..., Page], person: Person):
    [conversation] = asked(person, "Which of these is a rather long question that does not fit?")
    person.post("/folders/", name="A folder with a name as long as the names of folders can be!")
    person.post("/folders/", name="Trips")
    folder = person.site.rows("select max(id) from conversations_folder")[0][0]
    person.post(f"{conversation}move/", folder=str(folder))
    phone = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
    page = opened(open_page, person, conversation, **phone)
    page.get_by_role("button", name="Conversations").click()
    expect(page.locator(".folder[open]")).to_be_visible()
    check(page, "folders on a phone")
    for path in ("folders", "conversations", "conversations/archived", "prompts"):
        page.goto(f"{person.site.url}/{path}/?select=all")
        check(page, f"{path} on a phone")
    page.goto(f"{person.site.url}/conversations/")
    page.get_by_label("Select Which").check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("button", name="Undo")).to_be_visible()
    check(page, "a deletion on a phone")
