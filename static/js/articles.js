// Updates the articles in #messages from the server's frames: one article per message, its data-status, and whether its
// reasoning is expanded. Dispatches `message:status` on an article, with the detail {from, to, announcement}, after every
// change of status.

const messages = document.getElementById("messages");
const composer = document.getElementById("composer-content");
const touch = matchMedia("(pointer: coarse)");
const HOLD_MS = 1000;
const toggledByReader = new WeakSet(); // <details> that stay as the reader left them
let holdTimer = null;

messages.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) toggledByReader.add(summary.parentElement);
});

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail }) => {
  if (target === messages) return replaceExisting(detail.fragment);
  // A socket that connects sends the composer's buttons again. A key press must not meet one that is being replaced.
  if (target.id === "composer-actions" && target.innerHTML === detail.fragment.firstElementChild.innerHTML) detail.shouldSwap = false;
  const article = target.closest("article.message");
  if (article && target.id.startsWith("status-")) setStatus(article, detail.fragment.firstElementChild);
});

/** Replace articles whose id is already on the page, so that htmx appends only new ones. */
function replaceExisting(fragment) {
  for (const replacement of fragment.querySelectorAll(":scope > article.message")) {
    const current = document.getElementById(replacement.id);
    const reasoning = replacement.querySelector("details.reasoning");
    if (reasoning) reasoning.open = messages.dataset.showReasoning === "always";
    // A prompt does not change, and its form must not be lost while it is being edited.
    if (current?.querySelector(".edit-form")) replacement.remove();
    else if (current) replace(current, replacement);
  }
}

function replace(current, replacement) {
  const [before, after] = [current, replacement].map((article) => article.querySelector("details.reasoning"));
  const { activeElement } = document;
  const focused = current.contains(activeElement);
  if (before && after && toggledByReader.has(before)) {
    after.open = before.open;
    toggledByReader.add(after);
  }
  const from = current.dataset.status;
  holdHeight();
  current.replaceWith(replacement);
  htmx.process(replacement);
  htmx.trigger(replacement, "htmx:load");
  const next = activeElement.matches("summary") ? replacement.querySelector("summary") : !touch.matches && composer;
  if (focused && next) next.focus({ preventScroll: true });
  announceStatus(replacement, from);
}

/** Keep the height of the page until the text of a replaced article has been sent again, so that a reader below it is not moved. */
function holdHeight() {
  messages.style.minBlockSize = `${messages.offsetHeight}px`;
  clearTimeout(holdTimer);
  holdTimer = setTimeout(() => { messages.style.minBlockSize = ""; }, HOLD_MS);
}

function setStatus(article, footer) {
  const from = article.dataset.status;
  article.dataset.status = footer.dataset.status;
  announceStatus(article, from, footer);
}

function announceStatus(article, from, footer = article.querySelector("footer[data-status]")) {
  const to = article.dataset.status;
  if (from === to) return;
  article.dispatchEvent(new CustomEvent("message:status", { bubbles: true, detail: { from, to, announcement: footer?.dataset.announcement ?? "" } }));
}
