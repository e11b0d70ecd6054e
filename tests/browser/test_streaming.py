"""A long answer while it streams and when it ends: the text being read does not move, and the page stays small."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange

LINES = 900
CODE = [f"def step_{number}(value: int) -> str:  # one of many\n" for number in range(LINES)]
PROSE = [f"Paragraph step_{number} of *many*, with [a reference] in it.\n\n" for number in range(LINES // 3)]
# How far the end of the page is below the window, in pixels.
BELOW = "Math.round(document.documentElement.scrollHeight - innerHeight - scrollY)"
# The position of a word in the window, in pixels.
TOP_OF = """word => {
  const walker = document.createTreeWalker(document.getElementById("messages"), NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const at = walker.currentNode.data.indexOf(word);
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(walker.currentNode, at);
    range.setEnd(walker.currentNode, at + word.length);
    return range.getBoundingClientRect().top;
  }
}"""


@pytest.mark.parametrize(
    ("begin", "pieces", "end", "final_element"),
    [
        ("```python\n", CODE, "```\n", ".lines .nf"),
        ("", PROSE, "[a reference]: https://example.org\n", ".finalised a"),
    ],
    ids=["code", "prose"],
)
def test_the_text_being_read_does_not_move_while_a_long_answer_grows_and_ends(
    signed_in: Page, shared_endpoint: Endpoint, begin: str, pieces: list[str], end: str, final_element: str
):
    page, half = signed_in, len(pieces) // 2

    async def answer(exchange: Exchange) -> None:
        await exchange.reason("Hm. " * 20_000)
        await exchange.answer(begin)
        for piece in pieces[:half]:
            await exchange.answer(piece)
        await exchange.gate("half")
        for piece in pieces[half:]:
            await exchange.answer(piece)
        await exchange.gate("all")
        await exchange.answer(end)
        await exchange.finish()

    shared_endpoint.respond = answer
    ask(page, "Write a lot")
    # The last piece may still be the open tail, which is rendered again.
    expect(page.locator(".prose")).to_contain_text(f"step_{half - 2}")
    assert page.locator(".reasoning-text").evaluate("pane => pane.textContent.length") < 70_000
    # The page scrolls to new text a little after it is inserted, and to where the wheel asks a little after it turns.
    page.wait_for_function(f"() => {BELOW} <= 1")
    page.locator(".prose").hover()
    page.mouse.wheel(0, -600)
    page.wait_for_function(f"() => {BELOW} >= 600")
    expect(page.locator("#messages[data-following=false]")).to_be_attached()
    word = f"step_{half - 30}"
    top = page.wait_for_function(TOP_OF, arg=word).json_value()
    shared_endpoint.open("half")
    expect(page.locator(".prose")).to_contain_text(f"step_{len(pieces) - 2}")
    assert page.evaluate(TOP_OF, word) == top
    shared_endpoint.open("all")
    expect(page.locator(final_element).last).to_be_attached()
    expect(page.locator("article[data-status=complete]")).to_be_attached()
    assert page.evaluate(TOP_OF, word) == top
    assert page.locator("article *").count() < 8 * len(pieces)
