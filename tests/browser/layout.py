"""Checks of a page's layout and focus in the browser."""

from playwright.sync_api import Page

SIZES = [(1280, 860), (640, 430), (320, 640)]  # a desktop, the same at 200 % zoom, and the minimum (WCAG 1.4.10)

# WCAG 1.4.12. A constructed style sheet, because the content security policy allows no style elements.
SPACE_TEXT = """() => {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`p { margin-block-end: 2em !important; }
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }`);
  document.adoptedStyleSheets = [sheet];
}"""
UNSPACE_TEXT = "() => { document.adoptedStyleSheets = []; }"

FAULTS = """() => {
  const found = [];
  const name = ({ tagName, className, textContent }) => `${tagName}.${className} "${textContent.trim().slice(0, 30)}"`;
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true })
    && !element.closest(".visually-hidden, .skip-link, [inert]");
  const { scrollWidth } = document.documentElement;
  const overflows = (element) => shown(element) && element.getBoundingClientRect().right > innerWidth;
  const wide = [...document.querySelectorAll("body *")].filter(overflows).map(name).slice(-3);
  if (scrollWidth > innerWidth) found.push(`the page is ${scrollWidth} wide: ${wide}`);

  // Clipped text. Text that scrolls can be read, and an ellipsis shows that there is more.
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || !element.innerText?.trim() || element.closest("svg, math, textarea")) continue;
    const { overflowX, overflowY, textOverflow } = getComputedStyle(element);
    if (/hidden|clip/.test(overflowX) && textOverflow !== "ellipsis" && element.scrollWidth > element.clientWidth + 1)
      found.push(`${name(element)} is clipped at the side`);
    if (/hidden|clip/.test(overflowY) && textOverflow !== "ellipsis" && element.scrollHeight > element.clientHeight + 1)
      found.push(`${name(element)} is clipped at the bottom`);
  }

  const kinds = "a, button, input:not([type=hidden], :disabled), select, summary, textarea";
  const controls = [...document.querySelectorAll(kinds)].filter(shown);
  const box = (element) => element.getBoundingClientRect();
  for (const control of controls) {
    const { width, height } = box(control);
    // Links in a line of text are exempt (WCAG 2.5.8), and a checkbox counts together with its label.
    const inText = control.matches("a") && getComputedStyle(control).display === "inline";
    if (inText || control.labels?.length || (width >= 24 && height >= 24)) continue;
    found.push(`${name(control)} is ${width} by ${height}`);
  }

  // Controls of one layer must not overlap. Sticky layers overlap the scrolling page by design.
  const layer = (element) => element.closest("[popover], dialog, .topbar, .composer-dock") ?? document.body;
  controls.forEach((one, at) => {
    for (const other of controls.slice(at + 1)) {
      if (layer(one) !== layer(other) || one.contains(other) || other.contains(one)) continue;
      if (one.closest(".sidebar") !== other.closest(".sidebar")) continue; // scrolls separately
      const [a, b] = [box(one), box(other)];
      const over = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (over > 1 && down > 1 && !one.closest(".sidebar")) found.push(`${name(one)} overlaps ${name(other)}`);
    }
  });
  return found;
}"""

# Whether any part of the focused element is visible (WCAG 2.4.11).
FOCUS_IS_VISIBLE = """() => {
  const element = document.activeElement;
  if (element === document.body) return true; // on its way round, between the last stop and the first
  const { left, top, right, bottom } = element.getBoundingClientRect();
  const [x, y] = [(Math.max(left, 0) + Math.min(right, innerWidth)) / 2, (a, b) => a + (b - a) / 2];
  for (const at of [top + 2, y(top, bottom), bottom - 2]) {
    const hit = document.elementFromPoint(x, at);
    if (hit && (element.contains(hit) || hit.contains(element))) return true;
  }
  return false;
}"""


FOCUSED = """() => {
  const { left, top, right, bottom } = document.activeElement.getBoundingClientRect();
  return [document.activeElement.outerHTML.slice(0, 80), left, top, right, bottom, innerWidth, innerHeight].join(" ");
}"""


def check_layout(page: Page, state: str) -> None:
    """Assert that nothing is clipped, too small or overlapping, at any size and text spacing."""
    before = page.viewport_size
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        for spacing in (UNSPACE_TEXT, SPACE_TEXT):
            page.evaluate(spacing)
            faults = page.evaluate(FAULTS)
            assert faults == [], f"{state}, {width} wide{', spaced' if spacing == SPACE_TEXT else ''}: {faults}"
        page.evaluate(UNSPACE_TEXT)
    page.set_viewport_size(before)


def check_focus(page: Page, stops: int) -> None:
    """Assert that the focus is visible at each stop of the Tab key, forwards and backwards."""
    for key in ("Tab", "Shift+Tab"):
        for _ in range(stops):
            page.keyboard.press(key)
            where = page.evaluate(FOCUSED)
            assert page.evaluate(FOCUS_IS_VISIBLE), f"hidden: {where}"
