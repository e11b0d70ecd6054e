"""The pane with a model's reasoning."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange
from tests.site import Site

# The text near the upper edge of the pane.
TEXT_IN_VIEW = """pane => {
  const { left, top } = pane.getBoundingClientRect();
  const { startContainer: node, startOffset: at } = document.caretRangeFromPoint(left + 5, top + 50);
  return node.data.slice(at, at + 40);
}"""
PARAGRAPH = "A thought that goes on for a while, and then for a while longer.\n"


async def think_at_length(exchange: Exchange) -> None:
    await exchange.reason("**The beginning.**\n\n")
    for number in range(100):
        await exchange.reason(f"{number}: {PARAGRAPH}" * 30)
    await exchange.reason("The last line before the gate.\n")
    await exchange.gate("thought")
    # In one piece, which makes the pane cut off more text than it then has below the view.
    await exchange.reason("".join(f"{number}: {PARAGRAPH}" * 3 for number in range(100, 240)))
    await exchange.reason("The very last line.\n")
    await exchange.gate("more")
    await exchange.answer("An answer.")
    await exchange.finish()


def test_long_reasoning_is_followed_and_the_pane_stays_small(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = think_at_length
    ask(page, "Why?")
    pane = page.locator(".reasoning-text")
    expect(page.locator(".thought-preview")).to_contain_text("The last line before the gate.")
    expect(page.locator(".step-now")).to_contain_text("A thought that goes on for a while")
    page.locator("summary").filter(has_text="Thinking").click()
    expect(pane).to_be_visible()
    assert pane.evaluate("pane => pane.scrollHeight - pane.clientHeight - pane.scrollTop") < 2
    assert pane.evaluate("pane => pane.textContent.length") < 70_000
    assert pane.evaluate("pane => pane.childNodes.length") < 110
    # A reader who has scrolled up stays in place while text is added at the end and cut off at the beginning.
    pane.evaluate("pane => { pane.scrollTop -= 500 }")
    marked = pane.evaluate(TEXT_IN_VIEW)
    shared_endpoint.open("thought")
    expect(pane).to_contain_text("The very last line.")
    assert pane.evaluate(TEXT_IN_VIEW) == marked
    assert pane.evaluate("pane => pane.textContent.length") < 70_000


def test_a_thought_that_was_watched_opens_at_its_beginning(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = think_at_length
    shared_endpoint.open("thought")
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".thought-preview")).to_contain_text("The very last line.")
    page.locator("summary").filter(has_text="Thinking").click()
    pane = page.locator(".reasoning-text")
    assert pane.evaluate("pane => pane.scrollTop") > 0
    page.locator("summary").filter(has_text="Thinking").click()
    page.route("**/reasoning/", lambda route: route.abort())
    shared_endpoint.open("more")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    page.locator("summary").filter(has_text="Thought").click()
    expect(pane).to_be_visible()
    page.wait_for_function("() => document.querySelector('.reasoning-text').scrollTop === 0")
    page.unroute("**/reasoning/")
    page.locator("summary").filter(has_text="Thought").click()
    page.locator("summary").filter(has_text="Thought").click()
    expect(page.locator(".step").first).to_contain_text("The beginning.")


def test_finished_reasoning_is_loaded_and_rendered_when_it_is_opened(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = think_at_length
    shared_endpoint.open("thought")
    shared_endpoint.open("more")
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    page.reload()
    assert PARAGRAPH.strip() not in page.content()
    page.locator("summary").filter(has_text="Thought").click()
    expect(page.locator(".reasoning-text strong")).to_have_text("The beginning.")


def test_without_a_script_a_link_leads_to_the_reasoning(
    open_page: Callable[..., Page], signed_in: Page, shared_site: Site, shared_endpoint: Endpoint
):
    shared_endpoint.respond = think_at_length
    shared_endpoint.open("thought")
    shared_endpoint.open("more")
    ask(signed_in, "Why is that?")
    expect(signed_in.locator("article[data-role=assistant][data-status=complete]")).to_be_visible()
    plain = open_page(java_script_enabled=False)
    plain.context.add_cookies(signed_in.context.cookies())
    plain.goto(signed_in.url)
    plain.locator("summary").filter(has_text="Thought").click()
    plain.get_by_role("link", name="Read the reasoning").click()
    expect(plain.locator("main strong")).to_have_text("The beginning.")
    expect(plain.locator("main")).to_contain_text("Why is that?")
    plain.get_by_role("link", name="Back to the conversation").click()
    expect(plain.locator("article")).to_have_count(2)
