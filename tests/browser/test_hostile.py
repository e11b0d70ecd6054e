"""Text of people and models is shown and never executed, on every page, streaming or stored."""

import io
import json
import re
import zipfile
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ask, sign_up
from tests.endpoint import Endpoint, Exchange
from tests.rendering.hostile import ENORMOUS, HOSTILE
from tests.site import PASSWORD, Site, from_elsewhere

TITLE = "Be hostile <img src=x onerror=alert(1)>"
PROMPT = f"{TITLE}\n\n" + "\n\n".join(HOSTILE).replace("\0", "\ufffd")
# Each case is in its own block quote, whose end closes everything that the case has opened.
ANSWER = "\n\n---\n\n".join(re.sub(r"(?m)^", "> ", re.sub(r"\r\n?", "\n", text)) for text in HOSTILE)
STORED = ANSWER.replace("\0", "\ufffd")
NESTED = "\n\n---\n\n".join(
    ENORMOUS[name] for name in ("quotations", "lists", "nested emphasis", "braces in a formula")
)
DELTA = 200  # characters

# What a text must never produce. The site's own buttons are in the captions of code.
FORBIDDEN = """
(() => {
  const elements = "script, style, link, meta, base, iframe, frame, object, embed, form, img, svg, video, audio, "
    + "source, picture, template, dialog, input:not([type=checkbox]), select, textarea, button, marquee, "
    + "annotation-xml, maction";
  const found = [];
  const ours = "figcaption > button, [data-outline], .conversation-list button, .mark-of-correction";
  const ownLinks = ".conversation-list a, .reasoning-text > a, .compare-outline a, .timeline a, .found h2 a, "
    + ".entry-name a, .reading-found a";
  const texts = document.querySelectorAll(".prose, .reasoning-text, .asked, .snippet, .palette-option > span, "
    + ".conversation-list, .step-label, .compare-outline li, .timeline, .step-now, .thought-preview, .topbar-title, "
    + ".message > h2, .found h2, .entry-name, .quoted, .compare-head p, .reading-question, .reading-found");
  if (!texts.length) found.push("nothing is shown");
  for (const text of texts) {
    for (const element of text.querySelectorAll("*")) {
      if (element.matches(elements) && !element.matches(ours)) found.push(element.outerHTML);
      for (const { name, value } of element.attributes) {
        if (name === "popovertarget" && element.matches(".conversation-list button")) continue;
        if (/^(on|hx-|data-hx|style$|src|srcset|ping|background|popover|formaction|xlink)/.test(name)) found.push(name);
        if (name !== "href" || element.matches(ownLinks)) continue;
        if (!/^(https?:|mailto:|#[mrc]\\d+(-\\d+)?-(note|ref)-)/i.test(value)) found.push(value);
      }
    }
  }
  for (const wide of [document.documentElement, document.body]) {
    if (wide.scrollWidth > innerWidth) found.push(`${wide.scrollWidth} wide`);
  }
  return found;
})()
"""
# `fill` types a thousand lines, and Chromium computes the layout for each of them.
PASTE = (
    "(field, text) => { field.value = text; field.dispatchEvent(new Event('input', {bubbles: true})); field.focus() }"
)
MAKE_REVIEWER = f"""
from django.contrib.auth.models import Permission
from conversations.models import User
from conversations.models.permissions import REVIEW
reviewer = User.objects.create_user("hostile-reviewer", "hostile@example.org", "{PASSWORD}", is_staff=True)
reviewer.user_permissions.set(Permission.objects.filter(codename__in=REVIEW))
"""


def forbidden(page: Page) -> list[str]:
    """Return what the page shows and must not. Without its style sheets, it would be too wide."""
    page.wait_for_load_state()
    return page.evaluate(FORBIDDEN)


async def hostile(exchange: Exchange) -> None:
    if len(exchange.body["messages"]) > 1:
        await exchange.answer(NESTED)
        await exchange.finish()
        return
    await exchange.reason("\n\n".join(HOSTILE))
    await exchange.gate("thought")
    half = len(ANSWER) // 2
    for start in range(0, half, DELTA):
        await exchange.answer(ANSWER[start : min(start + DELTA, half)])
    await exchange.gate("half")
    await exchange.answer(ANSWER[half:])
    await exchange.finish()


async def hostile_at_once(exchange: Exchange) -> None:
    await exchange.reason("\n\n".join(HOSTILE))
    await exchange.answer(ANSWER)
    await exchange.finish()


@pytest.fixture
def watched(open_page: Callable[..., Page], shared_site: Site) -> Callable[[], Page]:
    """Open pages that record every dialog and every request to another site as an error."""
    complaints = []

    def open_watched() -> Page:
        page = open_page()
        page.set_extra_http_headers(from_elsewhere())
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: request.url.startswith(shared_site.url) or complaints.append(request.url))
        return page

    yield open_watched
    assert complaints == []
    assert shared_site.process.poll() is None


def test_hostile_text_is_never_executed(watched: Callable[[], Page], shared_site: Site, shared_endpoint: Endpoint):
    page, url = watched(), shared_site.url
    sign_up(page, shared_site)
    shared_endpoint.respond = hostile
    page.locator("#composer textarea").evaluate(PASTE, PROMPT)
    page.keyboard.press("Enter")
    expect(page.locator(".step-now")).not_to_be_empty()
    expect(page.locator(".thought-preview")).not_to_be_empty()
    assert forbidden(page) == []
    shared_endpoint.open("thought")
    expect(page.locator(".finalised > blockquote").nth(len(HOSTILE) // 3)).to_be_attached()
    assert forbidden(page) == []
    shared_endpoint.open("half")
    expect(page.locator("article[data-status=complete]")).to_have_count(1)
    expect(page.locator(".finalised > blockquote")).to_have_count(len(HOSTILE))
    assert forbidden(page) == []
    ask(page, "Once more")
    page.wait_for_url("**/conversations/**")
    expect(page.locator("article[data-status=complete]")).to_have_count(2)
    expect(page.locator(".finalised").last).to_contain_text("a")
    assert forbidden(page) == []

    page.reload()
    expect(page.locator(".finalised > blockquote").nth(len(HOSTILE) - 1)).to_be_attached()
    page.locator(".reasoning summary").first.click()
    expect(page.locator(".reasoning-text").first).to_contain_text(HOSTILE[0])
    assert forbidden(page) == []
    page.get_by_role("button", name="Expand all").first.click()
    answers = page.locator("article[data-role=assistant]").evaluate_all("all => all.map(({ id }) => id.split('-')[1])")
    conversation = page.url.rstrip("/").rpartition("/")[2].partition("?")[0]
    page.goto(f"{url}/search/?q=onerror")
    expect(page.locator(".snippet")).not_to_have_count(0)
    assert forbidden(page) == []
    page.keyboard.press("Control+k")
    page.keyboard.type("onerror")
    expect(page.locator(".palette-snippet")).not_to_have_count(0)
    assert forbidden(page) == []
    page.keyboard.press("Escape")
    page.goto(f"{url}/messages/{answers[0]}/reasoning/?q=onerror")
    expect(page.locator("mark")).not_to_have_count(0)
    assert forbidden(page) == []
    shared_endpoint.respond = hostile_at_once
    page.goto(f"{url}/conversations/{conversation}/")
    page.get_by_role("button", name="Regenerate").first.click()
    page.get_by_role("link", name="Compare with the previous version").click()
    expect(page.locator(".compare-row.same")).not_to_have_count(0)
    assert forbidden(page) == []

    for path in ("details", "feedback"):
        page.goto(f"{url}/messages/{answers[0]}/{path}/")
        expect(page.locator(".quoted")).not_to_be_empty()
        assert forbidden(page) == []
    page.goto(url)
    page.get_by_role("button", name=f"Conversation options for {TITLE}").click()
    menu = page.locator("#row-menu")
    menu.get_by_text("Rename").click()
    expect(menu.get_by_label("Title")).to_have_value(re.compile(re.escape(TITLE)))
    assert forbidden(page) == []
    menu.get_by_role("button", name="Archive", exact=True).click()
    expect(menu).to_be_hidden()
    page.goto(f"{url}/conversations/archived/")
    expect(page.locator(".entry-name")).to_contain_text(TITLE)
    assert forbidden(page) == []

    made = shared_site.manage("shell", "--no-imports", "--command", MAKE_REVIEWER)
    assert made.returncode == 0, made.stderr
    page = watched()
    page.goto(f"{url}/admin/conversations/conversation/{conversation}/transcript/")
    page.fill("[name=login]", "hostile-reviewer")
    page.fill("[name=password]", PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_label("Safety").check()
    page.get_by_role("button", name="Start case").click()
    expect(page.locator(".finalised > blockquote").nth(len(HOSTILE) - 1)).to_be_attached()
    assert forbidden(page) == []
    page.locator("summary", has_text="Thought").first.click()
    page.get_by_role("link", name="Read the reasoning").click()
    expect(page.locator(".reasoning-text").first).to_contain_text(HOSTILE[0])
    assert forbidden(page) == []
    page.goto(f"{url}/admin/conversations/conversation/search/?q=onerror")
    expect(page.locator(".snippet")).not_to_have_count(0)
    assert forbidden(page) == []

    page.goto(f"{url}/admin/conversations/conversation/find/")
    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    with zipfile.ZipFile(io.BytesIO(download.value.path().read_bytes())) as archive:
        exported = [json.loads(line) for line in archive.read("conversations.jsonl").decode().strip().split("\n")]
    [messages] = [each["messages"] for each in exported if each["id"] == conversation]
    assert [message["content"] for message in messages if message["role"] == "assistant"] == [STORED, NESTED, STORED]
