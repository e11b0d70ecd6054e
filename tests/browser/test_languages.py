"""Text written from right to left, and text without spaces between words."""

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange

ARABIC = "لماذا السماء زرقاء؟"
# The characters at which lines begin.
LINE_STARTS = """block => {
  const starts = [], range = document.createRange(), text = block.firstChild;
  let before = null;
  for (let at = 0; at < text.length; at++) {
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    const { top } = range.getBoundingClientRect();
    if (top !== before) starts.push(text.data[at]);
    before = top;
  }
  return starts;
}"""


async def in_arabic(exchange: Exchange) -> None:
    await exchange.reason(f"{ARABIC} Hm.")
    await exchange.answer(
        f"# {ARABIC}\n\n{ARABIC}\n\n- {ARABIC}\n\nIn English.\n\n| {ARABIC} |\n|---|\n| x |\n\n> {ARABIC}\n"
    )
    await exchange.finish()


async def in_japanese(exchange: Exchange) -> None:
    await exchange.answer("ちょっとー、「きゃー」っす。" * 30)
    await exchange.finish()


def test_every_block_has_the_direction_of_its_text(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_arabic
    page.fill("#composer textarea", ARABIC)
    assert page.locator("#composer textarea").evaluate("field => field.matches(':dir(rtl)')")
    ask(page, ARABIC)
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    page.locator("summary").filter(has_text="Thought").click()
    page.get_by_role("button", name="Expand all").click()
    expect(page.locator(".reasoning-text .prose")).to_be_visible()
    page.get_by_role("link", name="Edit this question").click()
    expect(page.locator(".edit-form textarea")).to_be_visible()
    for selector in (
        ".asked",
        ".edit-form textarea",
        ".step-label",
        ".step p",
        "[id^=answer-] h3",
        "[id^=answer-] .finalised > p:nth-of-type(1)",
        "[id^=answer-] li",
        "[id^=answer-] table",
        "[id^=answer-] blockquote",
        "#title",
        ".listed-title",
    ):
        assert page.locator(selector).first.evaluate("element => element.matches(':dir(rtl)')"), selector
    english = page.locator("[id^=answer-] p").filter(has_text="In English.")
    assert english.evaluate("element => element.matches(':dir(ltr)')")
    cell = page.locator("[id^=answer-] td")
    assert cell.evaluate("cell => getComputedStyle(cell).unicodeBidi") == "plaintext"


def test_lines_of_japanese_break_at_allowed_places(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_japanese
    ask(page, "なぜ？")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    paragraph = page.locator("[id^=answer-] p")
    for width in range(300, 360, 7):
        page.set_viewport_size({"width": width, "height": 700})
        starts = paragraph.evaluate(LINE_STARTS)
        assert len(starts) > 5
        assert not set(starts) & set("ー、」。ょゃっ"), width
    # Each character counts as a word, and punctuation does not count.
    expect(page.locator("footer.status")).to_have_attribute("data-announcement", "Answer complete")


def test_enter_that_accepts_a_candidate_does_not_send_an_edited_question(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    page.get_by_role("link", name="Edit this question").click()
    field = page.locator(".edit-form textarea")
    for composing in ("isComposing: true", "keyCode: 229"):
        field.evaluate(
            f"""field => field.dispatchEvent(
                new KeyboardEvent("keydown", {{key: "Enter", {composing}, bubbles: true, cancelable: true}}))"""
        )
    field.evaluate(
        """field => field.dispatchEvent(
            new KeyboardEvent("keydown", {key: "Escape", isComposing: true, bubbles: true, cancelable: true}))"""
    )
    expect(field).to_have_value("Why?")
    assert len(shared_endpoint.exchanges) == 1
