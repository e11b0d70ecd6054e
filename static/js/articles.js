// Updates the articles in #messages from the server's frames: one article per message, its data-status, whether its reasoning is
// expanded, and the focus. Announces changes of status, to assistive technology, which does not read out streamed text by itself,
// and in the title of a tab in the background, and dispatches `message:status` on the article.

const messages = document.getElementById("messages");
const composer = document.getElementById("composer-content");
const announcer = document.getElementById("announcer");
const heading = document.getElementById("title");
const touch = matchMedia("(pointer: coarse)");
const HOLD_MS = 1000;
const LIVE = ["queued", "thinking", "answering"];
let holdTimer = null;

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail }) => {
  if (target === messages) return replaceExisting(detail.fragment);
  // A socket that connects sends the composer's buttons again. A key press must not meet one that is being replaced.
  if (target.id === "composer-actions" && target.innerHTML === detail.fragment.firstElementChild.innerHTML) detail.shouldSwap = false;
  if (target.matches("#composer-actions, #placement, article.message, footer.status")) moveFocus(target, detail.fragment);
  if (target.matches("footer.status")) setStatus(target.closest("article"), detail.fragment.firstElementChild);
});

/** Replace articles whose id is already on the page, so that htmx appends only new ones. */
function replaceExisting(fragment) {
  for (const replacement of fragment.querySelectorAll(":scope > article.message")) {
    const current = document.getElementById(replacement.id);
    const [before, after] = [current, replacement].map((article) => article?.querySelector("details.reasoning"));
    if (after) after.open = before ? before.open : messages.dataset.showReasoning === "always";
    // A prompt does not change, and its form must not be lost while it is being edited.
    if (current && (isSame(current, replacement) || current.querySelector(".edit-form"))) replacement.remove();
    else if (current) replace(current, replacement);
  }
}

/** Return whether an article has nothing new. A socket that connects again sends all since the page was loaded, in some of which something is open. */
function isSame(current, replacement) {
  const { revision, status } = replacement.dataset; // an earlier version of the site, during an upgrade, sends no revision
  return revision && current.dataset.revision === revision && current.dataset.status === status && !LIVE.includes(status);
}

function replace(current, replacement) {
  const from = current.dataset.status;
  holdHeight();
  moveFocus(current, replacement);
  current.replaceWith(replacement);
  htmx.process(replacement);
  htmx.trigger(replacement, "htmx:load");
  setStatus(replacement, replacement.querySelector("footer.status"), from);
}

/** Before a part of the page is replaced: move the focus in it to the same control or, except where that opens a touch keyboard, to the composer. */
function moveFocus(part, replacement) {
  const { activeElement } = document;
  if (!part.contains(activeElement) || activeElement.matches("[data-version]")) return; // see versions.js
  const { action } = activeElement.dataset;
  const same = activeElement.matches("summary") ? "summary" : action && `[data-action="${action}"]`;
  const next = (same && replacement.querySelector(same)) ?? (touch.matches ? null : composer);
  queueMicrotask(() => next?.focus({ preventScroll: true })); // after the swap, and before the next key press
}

/** Keep the height of the page until the text of a replaced article has been sent again, so that a reader below it is not moved. */
function holdHeight() {
  messages.style.minBlockSize = `${messages.offsetHeight}px`;
  clearTimeout(holdTimer);
  holdTimer = setTimeout(() => { messages.style.minBlockSize = ""; }, HOLD_MS);
}

function setStatus(article, footer, from = article.dataset.status) {
  const to = footer?.dataset.status ?? from;
  if (to === from) return;
  article.dataset.status = to;
  announcer.textContent = footer.dataset.announcement;
  if (document.hidden && to !== "queued") setTitle({ thinking: "… ", answering: "… ", complete: "Answer ready · " }[to] ?? "Answer ended · ");
  article.dispatchEvent(new CustomEvent("message:status", { bubbles: true }));
}

function setTitle(prefix) {
  document.title = `${prefix}${heading.textContent} · ${document.title.split(" · ").pop()}`;
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) setTitle(""); });
new MutationObserver(() => setTitle("")).observe(heading, { childList: true }); // the conversation was renamed
