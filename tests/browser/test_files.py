"""Files at the composer, as people attach them: chosen, dropped, pasted, cancelled, removed, sent, taken back."""

import base64
import re
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.browser.layout import check_layout
from tests.browser.test_accessibility import check
from tests.browser.test_choice import NO_VARIABLES
from tests.browser.test_keyboard import press
from tests.endpoint import Endpoint, Exchange, think_and_answer
from tests.extraction.files import pdf
from tests.site import Site, files_of

DROP = """(files) => {
    const data = new DataTransfer();
    for (const [name, base64] of Object.entries(files))
        data.items.add(new File([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], name));
    for (const type of ["dragover", "drop"])
        document.getElementById("composer").dispatchEvent(
            new DragEvent(type, {dataTransfer: data, bubbles: true, cancelable: true}));
}"""
PASTE = """(text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const field = document.getElementById("composer-content");
    field.setRangeText(text);
    field.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data, bubbles: true, cancelable: true}));
}"""


MODELS = """
[endpoints.one]
base_url = "{url}"
[[models]]
id = "seeing"
endpoint = "one"
images = true
"""
SECRET = "The secret of the report is 42."


def drop(page: Page, **files: bytes) -> None:
    """Drop files on the composer, with names in which _ stands for a dot."""
    page.evaluate(DROP, {name.replace("_", "."): base64.b64encode(data).decode() for name, data in files.items()})


def image() -> bytes:
    data = BytesIO()
    Image.new("RGB", (40, 30), "red").save(data, "PNG")
    return data.getvalue()


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


async def think_until_told(exchange: Exchange) -> None:
    await exchange.reason("A thought. ")
    await exchange.gate("answer")
    await exchange.answer("It is 42.")
    await exchange.finish()


def test_files_from_the_drop_to_the_deletion_of_their_conversation(page: Page, make_site, endpoint: Endpoint):
    site: Site = make_site(MODELS=MODELS.format(url=endpoint.base_url), **NO_VARIABLES)
    endpoint.respond = think_until_told
    storage = files_of(site.database_url)
    sign_up(page, site)
    before = names(storage)
    attached = page.locator("#attached-files li")
    drop(page, report_pdf=pdf(SECRET), dot_png=image())
    expect(attached).to_have_text([re.compile("report.pdf.*PDF, .* tokens", re.S), re.compile("dot.png.*Image", re.S)])
    expect(page.locator("#composer progress")).to_have_count(0)
    assert len(names(storage) - before) == 3  # one is the picture of the image
    check_layout(page, "files in the composer")
    check(page, "files in the composer")
    page.set_viewport_size({"width": 360, "height": 740})
    check(page, "files in the composer on a phone")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="report.pdf").press("Enter")
    preview = opened.value
    expect(preview.locator(".file-text")).to_contain_text(SECRET)
    expect(preview.locator("body")).to_contain_text("tokens")
    check_layout(preview, "the preview of a PDF")
    check(preview, "the preview of a PDF")
    preview.close()
    page.set_viewport_size({"width": 1280, "height": 860})
    page.reload()
    expect(attached).to_have_count(2)

    ask(page, "What is the secret?")
    page.wait_for_url("**/conversations/**")
    address = page.url
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    picture, text = endpoint.exchanges[0].body["messages"][-1]["content"]
    assert Image.open(BytesIO(base64.b64decode(picture["image_url"]["url"].partition(",")[2]))).size == (40, 30)
    assert re.search(rf'<file id="(\w+)" name="report.pdf">.*{SECRET}.*</file id="\1">', text["text"], re.DOTALL)
    assert text["text"].endswith("\n\nWhat is the secret?")
    expect(attached).to_have_count(0)
    expect(page.locator(".file-name")).to_have_text(["report.pdf", "dot.png"])
    expect(page.get_by_role("img", name="dot.png")).to_have_js_property("naturalWidth", 40)

    page.get_by_role("button", name="Stop").press("Enter")
    expect(page.locator("article[data-status=stopped]")).to_be_visible()
    endpoint.open("answer")
    page.get_by_role("button", name="Try again", exact=True).press("Enter")
    complete = page.locator("article[data-role=assistant][data-status=complete]")
    expect(complete).to_contain_text("It is 42.")
    assert endpoint.exchanges[1].body["messages"] == endpoint.exchanges[0].body["messages"]

    page.get_by_role("link", name="Edit").press("Enter")
    page.get_by_label("dot.png", exact=True).check()
    page.locator(".edit-form textarea").fill("And without the picture?")
    page.keyboard.press("Enter")
    expect(page.locator("article[data-role=user]")).to_contain_text("And without the picture?")
    expect(page.locator(".file-name")).to_have_text(["report.pdf"])
    expect(complete).to_contain_text("It is 42.")
    branch = endpoint.exchanges[2].body["messages"][-1]["content"]
    assert SECRET in branch
    assert branch.endswith("\n\nAnd without the picture?")
    assert len(names(storage) - before) == 3  # both versions share what is stored

    page.goto(f"{site.url}/search/?q=secret+report")
    found = page.locator(".found li", has_text="report.pdf")
    expect(found).to_have_count(2)
    check(page, "files that were found")
    found.first.get_by_role("link").click()
    expect(page.locator("article[data-role=user]")).to_contain_text("And without the picture?")
    assert page.url.partition("#")[0] == address

    drop(page, waiting_txt=b"It was never sent.")
    expect(page.get_by_role("button", name="Remove waiting.txt")).to_be_visible()
    assert len(names(storage) - before) == 4
    page.get_by_role("button", name="Conversation options", exact=True).click()
    page.locator("#conversation-menu").get_by_text("Delete", exact=True).click()
    page.locator("#conversation-menu").get_by_role("button", name="Delete conversation").click()
    page.wait_for_url(f"{site.url}/")
    # The time in which it can be undone is over.
    site.execute("update conversations_conversation set deleted_at = '2026-01-01 00:00:00'")
    site.await_rows("select 1 where not exists (select 1 from conversations_storedfile)")
    assert names(storage) == before
    assert names(Path(f"{storage}-uploads")) == set()


def test_files_are_attached_looked_at_removed_and_sent(signed_in: Page, shared_endpoint: Endpoint, tmp_path: Path):
    page, alert = signed_in, signed_in.locator("#composer [role=alert]")
    shared_endpoint.respond = think_and_answer
    attached = page.locator("#attached-files li")
    notes, other = tmp_path / "notes.txt", tmp_path / "unreadable.bin"
    notes.write_text("The secret is 42.")
    other.write_bytes(bytes(range(256)))
    with (tmp_path / "large.txt").open("wb") as large:
        large.truncate(25 * 2**20 + 1)
    page.get_by_label("Attach files").set_input_files(large.name)
    expect(alert).to_have_text("large.txt is too large. Up to 10 files of 25 MB each.")  # it was not uploaded
    expect(attached).to_have_count(0)
    with page.expect_file_chooser() as chooser:
        press(page, "Attach files")
    chooser.value.set_files([notes, other])
    expect(alert).to_contain_text("unreadable.bin was not attached.")
    expect(attached).to_have_text(re.compile("notes.txt.*about 65 tokens", re.DOTALL))
    drop(page, dropped_md=b"# Dropped")
    expect(attached).to_have_count(2)
    expect(alert).to_be_empty()
    page.evaluate(PASTE, "word " * 2_000)
    page.get_by_role("button", name="Attach the pasted text as a file").press("Enter")
    expect(page.locator("#composer-content")).to_have_value("")
    expect(attached.nth(2)).to_contain_text("Pasted text.txt")
    expect(page.locator("#composer progress")).to_have_count(0)
    check(page, "files in the composer")
    page.get_by_role("button", name="Remove dropped.md").press("Enter")
    expect(attached).to_have_count(2)
    with page.context.expect_page() as preview:
        page.get_by_role("link", name="notes.txt").click()
    expect(preview.value.locator(".file-text")).to_have_text("The secret is 42.")
    check(preview.value, "the preview of a file")
    preview.value.close()
    ask(page, "What is the secret?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".file-name")).to_have_text(["notes.txt", "Pasted text.txt"])
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    check(page, "a question with files")
    sent = shared_endpoint.exchanges[-1].body["messages"][-1]["content"]
    assert "The secret is 42." in sent
    assert sent.endswith("What is the secret?")
    expect(attached).to_have_count(0)


def test_an_upload_is_cancelled_and_a_question_waits_for_its_files(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    held: list = []
    page.route("**/attachments/", lambda route: held.append(route))
    drop(page, slow_txt=b"Slow")
    expect(page.get_by_role("progressbar", name="Uploading slow.txt")).to_be_visible()
    ask(page, "What is in it?")
    assert page.evaluate("document.getElementById('composer-content').validationMessage") != ""
    check(page, "an upload")
    page.get_by_role("button", name="Cancel slow.txt").click()
    expect(page.locator("#attached-files li")).to_have_count(0)
    expect(page.locator("#composer [role=alert]")).to_be_empty()
    assert page.evaluate("document.getElementById('composer-content').validationMessage") == ""
    assert len(held) == 1
    assert not shared_endpoint.exchanges


def test_files_of_a_question_that_is_taken_back_can_be_removed(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = think_until_told
    attached = page.locator("#attached-files li")
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    drop(page, notes_txt=b"Notes", more_txt=b"More")
    expect(page.locator("#composer progress")).to_have_count(0)
    ask(page, "And then?")
    expect(page.locator("article[data-status=queued]")).to_be_visible()
    expect(attached).to_have_count(0)
    page.get_by_role("button", name="Cancel", exact=True).click()
    expect(page.locator("#composer-content")).to_have_value("And then?")
    page.get_by_role("button", name="Remove notes.txt").press("Enter")
    expect(attached).to_have_text([re.compile("more.txt")])
    expect(page.locator("#composer-content")).to_be_focused()
    page.reload()
    expect(attached).to_have_text([re.compile("more.txt")])
    shared_endpoint.open("answer")
