// Control (on a Mac: Command), with or without Shift, and a letter click the control with that data-shortcut. Except while
// typing, a single key clicks the control with that data-key, and focuses the field of a label; j and k move between messages or
// between the steps of a thought, o shows or hides the reasoning. Where there is #shortcuts, it needs data-single-keys for that.

const mac = /^(Mac|iP)/.test(navigator.platform);
const sheet = document.getElementById("shortcuts");
const singleKeys = !sheet || "singleKeys" in sheet.dataset;
const textFields = "textarea, select, input:not([type=radio], [type=checkbox])";
const item = "article.message, .reading-step";

if (mac) {
  for (const key of document.querySelectorAll("kbd")) key.textContent = key.textContent.replace("Ctrl ", "⌘").replace("Shift ", "⇧");
}

/** Return the index of the focused item, or else of the first one in view. */
function currentIndex(items) {
  const focused = items.indexOf(document.activeElement.closest(item));
  return focused < 0 ? items.findIndex((element) => element.getBoundingClientRect().bottom > 100) : focused;
}

function moveFocus(by) {
  const items = [...document.querySelectorAll(item)];
  const element = items[currentIndex(items) + (document.activeElement.closest(item) ? by : 0)];
  const link = element && document.querySelector(`.reading-outline a[href="#${element.id}"]`);
  if (link) return link.click(); // see reading.js
  if (!element) return;
  element.tabIndex = -1;
  element.focus({ preventScroll: true });
  element.scrollIntoView({ block: "start" });
}

function toggleReasoning() {
  const items = [...document.querySelectorAll(item)];
  items.slice(currentIndex(items)).find((element) => element.querySelector("details.reasoning"))?.querySelector("summary").click();
}

const actions = { j: () => moveFocus(1), k: () => moveFocus(-1), o: toggleReasoning };

document.addEventListener("keydown", (event) => {
  const { key, target } = event;
  if (event.altKey || event.isComposing) return;
  if (key === "Escape" && target.matches("#composer textarea")) target.blur();
  const isShortcut = mac ? event.metaKey : event.ctrlKey;
  const isSingle = singleKeys && !event.ctrlKey && !event.metaKey && !target.closest(textFields);
  let selector;
  if (isShortcut) selector = `[data-shortcut="${CSS.escape((event.shiftKey ? "shift " : "") + key.toLowerCase())}"]`;
  else if (isSingle) selector = `[data-key="${CSS.escape(key)}"]`;
  const control = selector && document.querySelector(selector);
  if (!control && !(isSingle && actions[key])) return;
  event.preventDefault();
  if (!control) return actions[key]();
  control.control?.focus({ preventScroll: true }); // of a label
  control.click();
});
