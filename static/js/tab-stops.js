// A timeline and an outline are one tab stop each, inside which the arrow keys, Home and End move. Text that is wider than its
// place is one too, so that the keyboard can scroll it; other text is none.

const LISTS = ".timeline:not(.live), .outline > ol, .reading-outline > ol";
const ITEMS = ":scope > a, :scope > li > a, :scope > li > .step > summary";
const KEYS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1, Home: -Infinity, End: Infinity };
const WIDE = ".prose :is(.table, pre, .formula, math[display=block])";

const itemsOf = (list) => [...list.querySelectorAll(ITEMS)];

function setStop(list, current) {
  for (const item of itemsOf(list)) item.setAttribute("tabindex", item === current ? 0 : -1);
}

const widths = new ResizeObserver((entries) => {
  for (const { target } of entries) {
    const scrolls = target.scrollWidth > target.clientWidth + 1;
    target.toggleAttribute("data-scrolls", scrolls);
    if (!scrolls) target.removeAttribute("tabindex");
    else target.setAttribute("tabindex", 0);
    if (target.matches("pre, .formula") && scrolls) {
      target.role = "group";
      target.ariaLabel = target.matches("pre") ? "Code" : "Formula";
    }
  }
});

function prepare(root) {
  for (const list of root.querySelectorAll(LISTS)) setStop(list, itemsOf(list)[0]);
  for (const element of root.querySelectorAll(WIDE)) widths.observe(element);
  if (root.matches(WIDE)) widths.observe(root);
}

document.addEventListener("focusin", ({ target }) => {
  const list = target.closest(LISTS);
  if (list && itemsOf(list).includes(target)) setStop(list, target);
});

document.addEventListener("keydown", (event) => {
  const list = event.target.closest(LISTS);
  if (!list || !(event.key in KEYS) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const items = itemsOf(list);
  const at = items.indexOf(event.target);
  if (at < 0) return;
  event.preventDefault();
  items[Math.max(0, Math.min(at + KEYS[event.key], items.length - 1))].focus();
});

document.addEventListener("htmx:load", ({ target }) => prepare(target));
prepare(document.body); // some pages have no htmx
