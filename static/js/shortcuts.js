// Control (on a Mac: Command) and a letter press the control that carries data-shortcut with that letter. Single keys do what
// #shortcuts lists, where it carries data-single-keys, and never while somebody types.

const mac = /^(Mac|iP)/.test(navigator.platform);
const sheet = document.getElementById("shortcuts");
const typing = "input, textarea, select, [contenteditable]";

if (mac) {
  for (const key of document.querySelectorAll("kbd")) key.textContent = key.textContent.replace("Ctrl ", "⌘");
}

/** The message that has the focus, or else the first that is in sight. */
function current(articles) {
  const focused = document.activeElement.closest("article.message");
  const inSight = (article) => article.getBoundingClientRect().bottom > 100;
  return focused ? articles.indexOf(focused) : articles.findIndex(inSight);
}

function step(by) {
  const articles = [...document.querySelectorAll("article.message")];
  const focused = document.activeElement.closest("article.message");
  const article = articles[current(articles) + (focused ? by : 0)];
  if (!article) return;
  article.tabIndex = -1;
  article.focus({ preventScroll: true });
  article.scrollIntoView({ block: "start" });
}

function toggleReasoning() {
  const articles = [...document.querySelectorAll("article.message")];
  articles.slice(current(articles)).find((article) => article.querySelector("details.reasoning"))?.querySelector("summary").click();
}

const single = {
  "?": () => sheet.togglePopover(),
  "/": () => document.getElementById("composer-content").focus(),
  n: () => document.querySelector("[data-shortcut=k]").click(),
  j: () => step(1),
  k: () => step(-1),
  o: toggleReasoning,
};

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.isComposing) return;
  if (event.key === "Escape" && event.target.matches("#composer textarea")) event.target.blur();
  if (event.ctrlKey || event.metaKey) {
    if (event.shiftKey || !(mac ? event.metaKey : event.ctrlKey)) return;
    const control = document.querySelector(`[data-shortcut="${CSS.escape(event.key.toLowerCase())}"]`);
    if (!control) return;
    event.preventDefault();
    control.click();
  } else if ("singleKeys" in sheet.dataset && single[event.key] && !event.target.matches(typing)) {
    event.preventDefault();
    single[event.key]();
  }
});
