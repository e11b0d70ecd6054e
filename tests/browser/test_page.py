"""The conversation's page: versions, wide content, narrow windows, touch, and a new conversation."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint, Exchange
from tests.site import Site

COMPLETE = "article[data-role=assistant][data-status=complete]"
TOP = "element => element.getBoundingClientRect().top"
WORD = "extraordinarily"
WIDE = f"""\
## Wide

| {" | ".join(f"{WORD} {n}" for n in range(14))} |
|{"---|" * 14}
| {" | ".join(f"cell {n}" for n in range(14))} |

| a | b |
|---|---|
| 1 | 2 |

\\[ \\begin{{pmatrix}} {" & ".join(f"a_{{{n}}} + b_{{{n}}}" for n in range(30))} \\end{{pmatrix}} \\]

- one
  - nested

```python
print({", ".join(f"'{WORD}'" for _ in range(12))})
```
"""
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"
WIDTH = "element => element.getBoundingClientRect().width"
# The parts of a control that cover what it says, in pixels.
BOXES = """elements => elements.filter((element) => element.checkVisibility())
  .map((element) => [element.textContent.trim(), element.getBoundingClientRect().height])
  .filter(([, height]) => height < 44)"""


async def wide(exchange: Exchange) -> None:
    await exchange.reason("First I think about it for a while.\n\nThen I think about it again, and that is all.\n")
    await exchange.answer(WIDE)
    await exchange.finish()


def test_switching_versions_keeps_the_control_in_place_and_focused(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in

    async def numbered(exchange: Exchange) -> None:
        number = len(shared_endpoint.exchanges)
        await exchange.answer(f"Version {number}.\n\n" + "A paragraph.\n\n" * (5 if number == 2 else 60))
        await exchange.finish()

    shared_endpoint.respond = numbered
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(COMPLETE)).to_contain_text("Version 1.")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator(f"{COMPLETE} .prose p")).to_have_count(6)
    page.evaluate("scrollTo(0, 0)")
    previous = page.get_by_role("button", name="Previous version")
    place = previous.evaluate(TOP)
    previous.focus()
    page.keyboard.press("Enter")
    following = page.get_by_role("button", name="Next version")
    expect(page.locator(COMPLETE)).to_contain_text("Version 1.")
    expect(following).to_be_focused()  # there is no earlier version
    assert abs(following.evaluate(TOP) - place) <= 1
    page.keyboard.press("Enter")
    expect(page.locator(COMPLETE)).to_contain_text("Version 2.")
    expect(previous).to_be_focused()
    assert abs(previous.evaluate(TOP) - place) <= 1
    ask(page, "And then?")
    expect(page.locator(COMPLETE)).to_have_count(2)
    expect(page.locator("footer.status").last).to_be_in_viewport()  # the page follows the text with its next frame
    # The ring around a message is not hidden behind the bar above it.
    page.keyboard.press("Escape")
    page.keyboard.press("k")
    page.keyboard.press("k")
    article = page.locator("article:focus")
    expect(article).to_have_accessible_name("Question 2: And then?")
    assert article.evaluate(TOP) - 8 >= page.locator(".topbar").bounding_box()["height"]


def test_wide_content_takes_the_free_space_and_then_scrolls(signed_in: Page, shared_endpoint: Endpoint):
    page, shared_endpoint.respond = signed_in, wide
    page.set_viewport_size({"width": 1920, "height": 900})
    ask(page, "Show me much")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(COMPLETE)).to_be_visible()
    table, small = page.locator(".prose .table").all()
    for element in (table, page.locator(".prose math")):
        expect(element).to_have_attribute("data-scrolls", "")
        expect(element).to_have_attribute("tabindex", "0")
        assert element.evaluate(WIDTH) > 1000
    expect(small).not_to_have_attribute("tabindex", "0")
    assert small.evaluate(WIDTH) == 704
    # Nothing clips it before the end of the page.
    right = table.evaluate("element => element.getBoundingClientRect().right")
    top = table.evaluate(TOP)
    assert page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.table') !== null", [right - 5, top + 5])
    first = table.locator("td").first
    before = first.evaluate("element => element.getBoundingClientRect().left")
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.querySelector('.table').scrollLeft > 0")
    assert first.evaluate("element => element.getBoundingClientRect().left") == before
    assert page.locator(".prose li > ul").evaluate("element => getComputedStyle(element).marginBlockEnd") == "6px"
    page.emulate_media(forced_colors="active")
    colour = page.locator(".composer-dock").evaluate("element => getComputedStyle(element).backgroundColor")
    assert colour.startswith("rgb(")  # opaque: messages are hidden behind it
    assert not page.evaluate(SCROLLS_SIDEWAYS)


def test_no_page_scrolls_sideways_at_320_pixels(signed_in: Page, shared_site: Site, shared_endpoint: Endpoint):
    page, shared_endpoint.respond = signed_in, wide
    page.set_viewport_size({"width": 320, "height": 640})
    assert not page.evaluate(SCROLLS_SIDEWAYS)
    ask(page, "Show me much")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(COMPLETE)).to_be_visible()
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator(".versions")).to_contain_text("2 / 2")
    expect(page.locator(COMPLETE)).to_be_visible()
    assert not page.evaluate(SCROLLS_SIDEWAYS)
    addresses = [
        page.locator(f"a{selector}").first.evaluate("link => link.href")
        for selector in ("[href*=compare]", "[href$='/reasoning/']")
    ]
    for address in (*addresses, f"{shared_site.url}/search/?q=much", f"{shared_site.url}/preferences/"):
        page.goto(address)
        assert not page.evaluate(SCROLLS_SIDEWAYS), address


@pytest.mark.parametrize("height", [800, 640])
def test_a_new_conversation_has_the_composer_in_the_middle(signed_in: Page, height: int):
    page = signed_in
    page.set_viewport_size({"width": 1280, "height": height})
    composer, examples = (page.locator(selector).bounding_box() for selector in ("#composer", ".examples"))
    assert height / 4 < composer["y"] < height * 3 / 4
    assert composer["y"] + composer["height"] <= examples["y"]
    assert examples["y"] + examples["height"] <= height


def test_controls_are_large_enough_for_fingers(
    open_page: Callable[..., Page], shared_site: Site, shared_endpoint: Endpoint
):
    page = open_page(viewport={"width": 390, "height": 780}, has_touch=True, is_mobile=True)
    sign_up(page, shared_site)
    shared_endpoint.respond = wide
    page.fill("#composer textarea", "Show me much")
    page.locator("[data-action=send]").tap()
    expect(page.locator(COMPLETE)).to_be_visible()
    page.get_by_role("button", name="Regenerate").tap()
    expect(page.locator("footer .versions")).to_contain_text("2 / 2")
    expect(page.locator(COMPLETE)).to_be_visible()
    assert page.locator("main :is(button, a:not(.prose a, .timeline a))").evaluate_all(BOXES) == []
    assert page.locator("#composer").bounding_box()["height"] < 70
    page.get_by_role("button", name="Conversation options").tap()
    page.locator("#conversation-menu summary", has_text="Rename").tap()
    expect(page.locator("#own-title")).to_be_visible()
    assert page.locator("#conversation-menu :is(summary, button)").evaluate_all(BOXES) == []
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Read this thought").tap()
    page.wait_for_url("**/reasoning/")  # and until its style sheets have loaded
    expect(page.locator(".reading-step")).to_have_count(1)
    assert page.locator("main :is(button, a:not(.prose a, .timeline a))").evaluate_all(BOXES) == []
    page.goto(f"{shared_site.url}/preferences/")
    assert page.locator("nav a").evaluate_all(BOXES) == []
