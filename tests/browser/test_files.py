"""Files at the composer, as people attach them: chosen, dropped, pasted, cancelled, removed, sent, taken back."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.test_accessibility import check
from tests.endpoint import Endpoint, think_and_answer

DROP = """({name, text}) => {
    const data = new DataTransfer();
    data.items.add(new File([text], name));
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


def test_files_are_attached_looked_at_removed_and_sent(signed_in: Page, shared_endpoint: Endpoint, tmp_path: Path):
    page, alert = signed_in, signed_in.locator("#composer [role=alert]")
    shared_endpoint.respond = think_and_answer
    attached = page.locator("#attached-files li")
    notes, other = tmp_path / "notes.txt", tmp_path / "unreadable.bin"
    notes.write_text("The secret is 42.")
    other.write_bytes(bytes(range(256)))
    page.get_by_label("Attach files").set_input_files([notes, other])
    expect(alert).to_contain_text("unreadable.bin was not attached.")
    expect(attached).to_have_text(re.compile("notes.txt.*about 65 tokens", re.DOTALL))
    page.evaluate(DROP, {"name": "dropped.md", "text": "# Dropped"})
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
    page.evaluate(DROP, {"name": "slow.txt", "text": "Slow"})
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
