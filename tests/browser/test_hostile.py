"""What a model says is shown, whatever it is made of, and does nothing: streaming, on the page, and to a reviewer."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.endpoint import Endpoint, Exchange
from tests.rendering.hostile import HOSTILE
from tests.site import Site

# Each case in a quotation of its own, whose end ends whatever the case has opened.
ANSWER = "\n\n---\n\n".join(re.sub(r"(?m)^", "> ", re.sub(r"\r\n?", "\n", text)) for text in HOSTILE)

# What a model's text may never become. Our own buttons stand in the captions of code.
FORBIDDEN = """
(() => {
  const elements = "script, style, link, meta, base, iframe, frame, object, embed, form, img, svg, video, audio, "
    + "source, picture, template, dialog, input:not([type=checkbox]), select, textarea, button, marquee, "
    + "annotation-xml, maction";
  const found = [];
  for (const text of document.querySelectorAll(".prose, .reasoning-text, .asked")) {
    for (const element of text.querySelectorAll("*")) {
      if (element.matches(elements) && !element.matches("figcaption > button")) found.push(element.outerHTML);
      for (const { name, value } of element.attributes) {
        if (/^(on|hx-|data-hx|style$|src|srcset|ping|background|popover|formaction|xlink)/.test(name)) found.push(name);
        if (name === "href" && !/^(https?:|mailto:|#[mr]\\d+-)/i.test(value)) found.push(value);
      }
    }
  }
  for (const wide of [document.documentElement, document.body]) {
    if (wide.scrollWidth > innerWidth) found.push(`${wide.scrollWidth} wide`);
  }
  return found;
})()
"""


async def hostile(exchange: Exchange) -> None:
    await exchange.reason("\n\n".join(HOSTILE))
    half = len(ANSWER) // 2
    for start in range(0, half, 100):
        await exchange.answer(ANSWER[start : min(start + 100, half)])
    await exchange.gate("half")
    await exchange.answer(ANSWER[half:])
    await exchange.finish()


def test_hostile_text_does_nothing_anywhere(signed_in: Page, shared_site: Site, shared_endpoint: Endpoint):
    page, requested, dialogs = signed_in, [], []
    page.context.on("request", lambda request: requested.append(request.url))
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    shared_endpoint.respond = hostile
    ask(page, "Be hostile <img src=x onerror=alert(1)>")
    expect(page.locator(".settled blockquote").nth(len(HOSTILE) // 3)).to_be_attached()
    assert page.evaluate(FORBIDDEN) == []
    shared_endpoint.open("half")
    expect(page.locator("article[data-status=complete][data-role=assistant]")).to_be_visible()
    assert page.evaluate(FORBIDDEN) == []
    expect(page.locator(".settled > blockquote")).to_have_count(len(HOSTILE))

    page.reload()
    expect(page.locator(".settled > blockquote")).to_have_count(len(HOSTILE))
    page.locator(".reasoning summary").click()
    expect(page.locator(".reasoning-text")).to_contain_text(HOSTILE[0])
    assert page.evaluate(FORBIDDEN) == []

    url = shared_site.url
    password = re.search(r"password: (\S+)", shared_site.manage("first_administrator").stdout)[1]
    conversation = page.url.rstrip("/").rpartition("/")[2].partition("?")[0]
    page.context.clear_cookies()
    page.goto(f"{url}/admin/conversations/conversation/{conversation}/transcript/")
    page.fill("[name=login]", "admin")
    page.fill("[name=password]", password)
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator(".settled > blockquote")).to_have_count(len(HOSTILE))
    assert page.evaluate(FORBIDDEN) == []

    assert dialogs == []
    assert [address for address in requested if not address.startswith(url)] == []
    assert shared_site.process.poll() is None
