"""Export everything, import it into another account, compare; and the pages for it on a phone and by keyboard."""

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_in
from tests.browser.test_accessibility import check
from tests.endpoint import Endpoint, think_and_answer
from tests.importing.files import as_json, chatgpt
from tests.site import Person, Site


def everything(page: Page) -> bytes:
    """Have an archive made and download it, as people do."""
    page.get_by_role("link", name="Your data").click()
    page.get_by_role("button", name="Create an archive").click()
    expect(page.get_by_text("In progress").or_(page.get_by_role("link", name="Download the archive"))).to_be_visible()
    while page.get_by_text("In progress").is_visible():
        page.get_by_role("link", name="Refresh").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the archive").click()
    assert download.value.suggested_filename.endswith(".zip")
    return Path(download.value.path()).read_bytes()


def conversations_in(content: bytes) -> list[list[tuple[Any, ...]]]:
    """Return (role, content, reasoning, number of the parent, files) of all messages of each conversation."""
    found = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.startswith("conversations/") and name.endswith(".json"):
                messages = json.loads(archive.read(name))["messages"]
                places = {message["id"]: place for place, message in enumerate(messages)}
                fields = ("role", "content", "reasoning", "created_at", "attachments", "generations")
                found.append(
                    [(places.get(each["parent"]), *(json.dumps(each[field]) for field in fields)) for each in messages]
                )
    return sorted(found, key=repr)


def test_everything_is_the_same_in_another_account(
    open_page: Callable[..., Page], make_person: Callable[[], Person], shared_endpoint: Endpoint, tmp_path: Path
):
    shared_endpoint.respond = think_and_answer
    ada, ben = make_person(), make_person()
    attachment = ada.upload("notes.txt", b"The secret is 42.").json()["id"]
    conversation = ada.ask("What is the secret?", attachment=attachment)
    ada.await_end(conversation)
    [(answer,)] = ada.site.rows("select max(id) from conversations_message")
    ada.post(f"/messages/{answer}/regenerate/")
    ada.await_end(conversation)
    hers, his = open_page(), open_page()
    sign_in(hers, ada)
    hers.goto(f"{ada.site.url}/preferences/")
    exported = everything(hers)
    file = tmp_path / "archive.zip"
    file.write_bytes(exported)
    sign_in(his, ben)
    his.goto(f"{ben.site.url}/account/data/")
    his.get_by_role("link", name="Import conversations").click()
    his.get_by_label("File, up to 100 MB").set_input_files(file)
    his.get_by_role("button", name="Preview").click()
    expect(his.get_by_text("To import: 1 conversation with 3 messages and 1 file")).to_be_visible()
    his.get_by_label("File, up to 100 MB").set_input_files(file)
    his.get_by_role("button", name="Import", exact=True).click()
    expect(his.get_by_text("Imported: 1 conversation with 3 messages and 1 file")).to_be_visible()
    his.get_by_role("link", name="Show your conversations").click()
    his.get_by_role("link", name="What is the secret?").first.click()
    expect(his.get_by_text("Imported from an export of this kind of site")).to_be_visible()
    expect(his.get_by_role("link", name="notes.txt").first).to_be_visible()
    his.goto(f"{ben.site.url}/preferences/")
    assert conversations_in(everything(his)) == conversations_in(exported)
    link = his.get_by_role("link", name="Download the archive").get_attribute("href")
    assert ada.http.get(str(link)).status_code == 404
    assert ben.http.get(str(link)).status_code == 200


def test_a_report_is_accessible_and_asking_goes_on_after_an_import(
    page: Page, shared_site: Site, make_person: Callable[[], Person], shared_endpoint: Endpoint, tmp_path: Path
):
    shared_endpoint.respond = think_and_answer
    file = tmp_path / "conversations.json"
    file.write_bytes(as_json(chatgpt(), {"title": "Other"}).getvalue())
    sign_in(page, make_person())
    page.goto(f"{shared_site.url}/import/")
    page.get_by_label("File, up to 100 MB").set_input_files(file)
    page.get_by_role("button", name="Import", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="Report")).to_be_visible()
    check(page, "a report of an import")
    page.set_viewport_size({"width": 360, "height": 740})
    check(page, "a report of an import on a phone")
    page.set_viewport_size({"width": 1280, "height": 860})
    page.goto(f"{shared_site.url}/")
    page.get_by_role("link", name="Decimals").first.click()
    expect(page.get_by_text("What was imported has no answer here.")).to_be_visible()
    check(page, "an imported conversation")
    ask(page, "And 9.80?")
    expect(page.locator("article[data-role=assistant]").last).to_have_attribute("data-status", "complete")
