// Control (on a Mac: Command), with or without Shift, and a letter click the control with that data-shortcut. Single keys do
// what #shortcuts lists, if it has data-single-keys, except while typing.

const mac = /^(Mac|iP)/.test(navigator.platform);
const sheet = document.getElementById("shortcuts");
const textFields = "input, textarea, select, [contenteditable]";

if (mac) {
  for (const key of document.querySelectorAll("kbd")) key.textContent = key.textContent.replace("Ctrl ", "⌘").replace("Shift ", "⇧");
}

/** Return the index of the focused message, or else of the first one in view. */
function currentIndex(articles) {
  const focused = document.activeElement.closest("article.message");
  const isInView = (article) => article.getBoundingClientRect().bottom > 100;
  return focused ? articles.indexOf(focused) : articles.findIndex(isInView);
}

function moveFocus(by) {
  const articles = [...document.querySelectorAll("article.message")];
  const focused = document.activeElement.closest("article.message");
  const article = articles[currentIndex(articles) + (focused ? by : 0)];
  if (!article) return;
  article.tabIndex = -1;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
}

function toggleReasoning() {
  const articles = [...document.querySelectorAll("article.message")];
  articles.slice(currentIndex(articles)).find((article) => article.querySelector("details.reasoning"))?.querySelector("summary").click();
}

const actions = {
  "?": () => sheet.togglePopover(),
  "/": () => document.querySelector("#composer-content, #id_q")?.focus(),
  n: () => document.querySelector("[data-shortcut='shift o']").click(),
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  o: toggleReasoning,
};

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target.matches("#composer textarea")) event.target.blur();
  if (event.ctrlKey || event.metaKey) {
    if (!(mac ? event.metaKey : event.ctrlKey)) return;
    const key = (event.shiftKey ? "shift " : "") + event.key.toLowerCase();
    const control = document.querySelector(`[data-shortcut="${CSS.escape(key)}"]`);
    if (!control) return;
    event.preventDefault();
    control.click();
  } else if ("singleKeys" in sheet.dataset && actions[event.key] && !event.target.matches(textFields)) {
    event.preventDefault();
    actions[event.key]();
  }
});
