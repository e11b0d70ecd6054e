"""axe-core on every page and state at desktop and phone width, the colours of both themes, the layout of pages."""

import json
import re

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.conftest import PAGES, ask, sign_up
from tests.browser.layout import check_layout
from tests.endpoint import Endpoint, Exchange
from tests.site import PASSWORD, Site

ANSWER = """\
# A heading

Some *words*, a [link](https://example.org), `code` and $x^2$.

| a | b |
|---|--:|
| 1 | 2 |

- [x] done
- [ ] open

```python
def f(x):
    # a comment
    return "text"  # and another that is long enough to make the block scroll sideways on every screen we look at
```

> A quotation.[^1]

[^1]: A note.
"""


async def in_steps(exchange: Exchange) -> None:
    await exchange.reason("A thought. ")
    await exchange.gate("thinking")
    await exchange.answer(ANSWER)
    await exchange.gate("answering")
    await exchange.finish()


async def refuse(exchange: Exchange) -> None:
    await exchange.fail(401)


EVERY_RULE = {"resultTypes": ["violations"]}


def rules(*names: str) -> dict[str, object]:
    return EVERY_RULE | {"runOnly": {"type": "rule", "values": names}}


# A theme changes colours alone.
COLOUR_RULES = rules("color-contrast", "link-in-text-block")
# A narrow window has the same elements in the same colours, in other places.
LAYOUT_RULES = rules("scrollable-region-focusable", "aria-hidden-focus", "skip-link", "region")


def violations(page: Page, options: dict[str, object]) -> list[dict[str, object]]:
    """Return what axe finds wrong. It is loaded once into each page: that takes as long as a check."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)
    return page.evaluate("options => axe.run(options).then(({ violations }) => violations)", options)


def check(page: Page, state: str) -> None:
    """Assert that axe finds nothing wrong, and that nothing is wider than the window."""
    is_wide = page.viewport_size["width"] > 1000
    checks = {"light": EVERY_RULE, "dark": COLOUR_RULES} if is_wide else {"light": LAYOUT_RULES}
    for theme, options in checks.items():
        page.emulate_media(color_scheme=theme)
        found = violations(page, options)
        assert not found, f"{state}, {theme}: {json.dumps(found, indent=2)}"
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{state} scrolls sideways"


def check_widths(page: Page, state: str) -> None:
    """Check it at the width of a phone, too."""
    check(page, state)
    before = page.viewport_size
    page.set_viewport_size({"width": 360, "height": 800})
    check(page, f"{state}, on a phone")
    page.set_viewport_size(before)


def test_public_pages_are_accessible(page: Page, shared_site: Site):
    for path in ("accounts/login/", "accounts/signup/", "accounts/password/reset/", "nowhere/"):
        page.goto(f"{shared_site.url}/{path}")
        check_widths(page, path)
        check_layout(page, path)
    page.goto(f"{shared_site.url}/accounts/login/")
    page.fill("[name=login]", "nobody")
    page.fill("[name=password]", "wrong")
    page.locator("main button[type=submit]").first.click()
    expect(page.locator("main")).to_contain_text("not correct")
    check_widths(page, "a refused sign-in")


def test_account_pages_are_accessible(signed_in: Page, shared_site: Site):
    for path in ("", *PAGES, "privacy/", "nowhere/"):
        signed_in.goto(f"{shared_site.url}/{path}")
        check_widths(signed_in, path or "a new conversation")
        check_layout(signed_in, path or "a new conversation")


def test_a_new_token_is_accessible(page: Page, shared_site: Site):
    sign_up(page, shared_site)
    page.goto(f"{shared_site.url}/accounts/api-tokens/")
    page.get_by_label("Name").focus()
    page.keyboard.type("Backup of everything that I have asked so far, at night")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.get_by_role("button", name="Create token").press("Enter")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.locator("code.secret")).to_have_text(re.compile("^ponder_[A-Za-z0-9]{43}$"))
    expect(page.get_by_role("button", name="Copy")).to_be_visible()
    check_widths(page, "a new token")
    page.get_by_role("button", name="Revoke").press("Enter")
    expect(page.locator(".badge")).to_have_text("Revoked")
    check_widths(page, "a revoked token")
    page.get_by_role("button", name="Create token").click()  # the browser says what is missing
    page.get_by_label("Name").fill("Without a scope")
    page.get_by_role("button", name="Create token").press("Enter")
    expect(page.locator(".field-error")).to_be_visible()
    check_widths(page, "a token without a scope")


def test_a_conversation_is_accessible_in_every_state(signed_in: Page, shared_endpoint: Endpoint):
    page = signed_in
    shared_endpoint.respond = in_steps
    ask(page, "Why?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".reasoning-text")).to_contain_text("A thought.")
    check_widths(page, "thinking")
    ask(page, "And then?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=queued]")).to_be_visible()
    check_widths(page, "waiting")
    shared_endpoint.open("thinking")
    expect(page.locator(".prose").first).to_contain_text("Some words")
    check_widths(page, "answering")
    shared_endpoint.open("answering")
    expect(page.locator("article[data-role=assistant][data-status=complete]")).to_have_count(2)
    check_widths(page, "complete")
    page.locator("summary").filter(has_text="Thought").first.click()
    check_widths(page, "reasoning opened")
    answer = page.locator("article[data-role=assistant]").first
    answer.get_by_role("button", name="More for this answer").click()
    check_widths(page, "what else can be done with an answer")
    page.keyboard.press("Escape")
    answer.get_by_role("button", name="Good answer").click()
    expect(answer.get_by_label("What was good or poor about it?")).to_be_visible()
    check_widths(page, "a rated answer")
    conversation = page.url
    answer.get_by_role("link", name="Answer details").click()
    expect(page.get_by_role("heading", name="The request, exactly as it was sent")).to_be_visible()
    check_widths(page, "details")
    page.get_by_role("link", name="Back to the conversation").click()
    page.wait_for_url(f"{conversation}#*")
    shared_endpoint.respond = refuse
    ask(page, "Once more?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=failed]")).to_be_visible()
    check_widths(page, "failed")
    page.get_by_role("button", name="Conversation options", exact=True).click()
    check_widths(page, "the conversation's menu")
    page.keyboard.press("Escape")
    page.locator("#composer textarea").press("Escape")
    page.keyboard.press("?")
    check_widths(page, "the list of shortcuts")
    page.keyboard.press("Escape")
    page.context.set_offline(True)
    ask(page, "Lost?")
    expect(page.locator("#composer-error")).to_contain_text("could not be reached")
    check_widths(page, "offline")
