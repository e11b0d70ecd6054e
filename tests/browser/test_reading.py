"""A finished thought: its timeline, its outline, the page to read it, and the page that compares answers."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import ask
from tests.browser.layout import check_layout
from tests.browser.test_accessibility import EVERY_RULE, Axe
from tests.endpoint import Endpoint, Exchange
from tests.rendering.test_steps import THOUGHTS

THOUGHT = THOUGHTS["r1-migration"]
# What assistive technology reads of a thought, in this order. A list may have more items than are named.
SEGMENTS = "\n".join(f"    - link /^Step {number} of 10/" for number in range(1, 11))
OUTLINE = f"""
- article "Answer 1":
  - heading "Answer 1" [level=2]
  - group:
    - text: /Thought for .+ 10 steps 2 corrections/
    - group "Reasoning":
      - paragraph:
        - button "Expand all"
      - list:
        - listitem:
          - group: 1 I have to work out how to move about 400 GB from MySQL 8…
        - listitem:
          - group: 3 The options that remain, then option
        - listitem:
          - group: 5 Wait, no. Dual writes race correction
      - paragraph:
        - button "Collapse this thought"
  - group "Timeline of the thought":
    - /children: equal
{SEGMENTS}
  - link "Read this thought"
  - paragraph:
    - strong: copy
  - link "Copy this answer"
  - button "Regenerate"
  - button "Good answer"
  - button "Poor answer"
  - button "More for this answer"
"""
READING = """
- main:
  - heading "Reasoning" [level=1]
  - navigation "Outline · 10 steps":
    - paragraph:
      - link "Back to the conversation"
    - heading "Outline · 10 steps" [level=2]
    - list:
      - listitem:
        - link "1 I have to work out how to move about 400 GB from MySQL 8…"
      - listitem:
        - 'link "5 Correction: Wait, no. Dual writes race"'
    - search:
      - searchbox "Find in this thought"
      - button "Find"
  - region /Thought .+ 846 words/:
    - heading /Thought .+ 846 words/ [level=2]
    - group "Timeline of the thought"
    - region "1 · I have to work out how to move about 400 GB from MySQL 8…":
      - heading "1 · I have to work out how to move about 400 GB from MySQL 8…" [level=3]
      - paragraph:
        - link "Link to step 1"
    - region "5 · Wait, no. Dual writes race":
      - paragraph:
        - text: /correction/
        - link "Link to step 5"
  - region /Answer/:
    - heading /Answer/ [level=2]
    - paragraph:
      - strong: copy
"""
COMPARE = f"""
- main:
  - link "Back to the conversation"
  - heading "Compare two answers" [level=1]
  - paragraph: to “How do we move?”
  - checkbox "Only what differs"
  - region "Answer 1":
    - heading /1 of 2 .+/ [level=2]
    - paragraph: /Complete · thought for .+ · 846 words thought/
    - group "Timeline of the thought":
      - /children: equal
{SEGMENTS.replace("    ", "      ")}
    - group: Outline · 10 steps · 2 corrections
  - region "Answer 2":
    - heading /2 of 2 .+/ [level=2]
    - group: Outline · 10 steps · 2 corrections
  - paragraph:
    - strong: copy
"""
PLACE = "() => document.querySelector('.versions').getBoundingClientRect().top"


async def think(exchange: Exchange) -> None:
    await exchange.reason(THOUGHT)
    await exchange.gate("thought")
    await exchange.answer("Use a **copy**.\n\n" + "A paragraph. " * 300)
    await exchange.finish()


def check(page: Page, state: str) -> None:
    result = Axe().run(page, options=EVERY_RULE)
    assert result.violations_count == 0, f"{state}:\n{result.generate_report()}"
    check_layout(page, state)


def test_any_part_of_a_thought_is_two_actions_away(
    signed_in: Page, open_page: Callable[..., Page], shared_endpoint: Endpoint
):
    page = signed_in
    shared_endpoint.respond = think
    ask(page, "How do we move?")
    page.wait_for_url("**/conversations/**")
    expect(page.locator(".step-now")).not_to_be_empty()
    expect(page.locator(".thought-preview")).not_to_be_empty()
    page.locator("summary", has_text="Thinking").click()
    expect(page.locator(".reasoning-text")).to_be_visible()
    shared_endpoint.open("thought")
    expect(page.locator("article[data-status=complete]")).to_be_visible()
    # Watched in an open pane, it becomes the outline.
    expect(page.locator(".step")).not_to_have_count(0)
    page.locator("[data-outline=collapse]").click()
    expect(page.locator(".step").first).to_be_hidden()
    segments = page.locator(".timeline a")
    steps = segments.count()
    expect(page.locator(".phase")).to_contain_text(f"{steps} steps")
    # All segments are one tab stop.
    expect(page.locator(".timeline a[tabindex='0']")).to_have_count(1)
    segments.first.focus()
    for key in ("End", "Home", "ArrowRight", "ArrowRight", "ArrowLeft", "ArrowRight", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    expect(segments.nth(4)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Shift+Tab")
    expect(segments.nth(4)).to_be_focused()
    page.keyboard.press("Enter")
    step = page.locator(".step").nth(4)
    expect(step.locator(".prose")).to_be_in_viewport()
    expect(step.locator("summary")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.locator(".step > summary").nth(3)).to_be_focused()
    expect(page.locator(".step > summary[tabindex='0']")).to_have_count(1)
    page.get_by_role("button", name="Expand all").click()
    expect(page.locator(".step[open]")).to_have_count(steps)
    check(page, "outline")
    page.get_by_role("button", name="Collapse all").click()
    expect(page.locator(".step[open]")).to_have_count(0)
    expect(page.locator(".messages")).to_match_aria_snapshot(OUTLINE)

    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator(".versions")).to_contain_text("2 / 2")
    page.get_by_role("link", name="Compare with the previous version").scroll_into_view_if_needed()
    place = page.evaluate(PLACE)
    page.get_by_role("link", name="Read this thought").dispatch_event("click")
    expect(page.locator(".reading-step")).to_have_count(steps)
    expect(page.locator("body")).to_match_aria_snapshot(READING)
    page.wait_for_load_state()  # its script handles keys from now on
    check(page, "reading")
    page.keyboard.press("j")
    page.keyboard.press("j")
    expect(page.locator(".reading-step").nth(1)).to_be_focused()
    expect(page.locator(".reading-outline [aria-current]")).to_have_count(1)
    page.keyboard.press("k")
    expect(page.locator(".reading-step").first).to_be_focused()
    page.locator(".reading-outline li a").nth(6).click()
    expect(page.locator(".reading-step").nth(6)).to_be_in_viewport()
    assert page.url.endswith("-7")
    page.get_by_role("link", name="Back to the conversation").click()
    page.wait_for_url("**/conversations/**")
    page.wait_for_function(f"place => Math.abs(({PLACE})() - place) < 2", arg=place)
    page.get_by_role("link", name="Compare with the previous version").click()
    expect(page.locator(".compare-row.same")).not_to_have_count(0)
    expect(page.locator("body")).to_match_aria_snapshot(COMPARE)
    check(page, "compare")

    plain = open_page(java_script_enabled=False, viewport={"width": 360, "height": 740})
    plain.context.add_cookies(page.context.cookies())
    page.go_back()
    plain.goto(re.sub(r"[?#].*", "", page.url))
    plain.get_by_role("link", name="Read this thought").click()
    expect(plain.locator(".reading-thought")).to_be_visible()
    expect(plain.locator(".reading-answer")).to_be_hidden()
    plain.get_by_role("link", name="Answer", exact=True).click()
    expect(plain.locator(".reading-answer")).to_be_visible()
    expect(plain.locator(".reading-thought")).to_be_hidden()
    plain.get_by_role("link", name="Outline", exact=True).click()
    plain.fill("#find", "backlog")
    plain.get_by_role("button", name="Find").click()
    expect(plain.locator("mark").first).to_be_visible()
    plain.locator(".reading-found a").first.click()
    expect(plain.locator(".reading-step:target mark").first).to_be_in_viewport()
    plain.emulate_media(media="print")
    expect(plain.locator(".reading-answer")).to_be_visible()
    expect(plain.locator(".reading-thought")).to_be_visible()
    expect(plain.locator(".reading-find")).to_be_hidden()
