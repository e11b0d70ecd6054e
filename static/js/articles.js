// Keeps the articles in #messages true to what the server sends: one article per message, its data-status, its reasoning's fold.
// Dispatches `message:status` on the article, with the detail {from, to, announcement}, after every change of status.

const messages = document.getElementById("messages");
const composer = document.getElementById("composer-content");
const touch = matchMedia("(pointer: coarse)");
const setByHand = new WeakSet(); // <details> whose fold the reader chose
const HELD_MS = 1000;
let held = null;

messages.addEventListener("click", (event) => {
  const summary = event.target.closest("summary");
  if (summary) setByHand.add(summary.parentElement);
});

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail }) => {
  if (target === messages) return replaceKnown(detail.fragment);
  // A conversation that moves to the top of the list leaves its old place.
  if (target.id === "listed-today") for (const { id } of detail.fragment.querySelectorAll("li")) document.getElementById(id)?.remove();
  const article = target.closest("article.message");
  if (article && target.id.startsWith("status-")) setStatus(article, detail.fragment.firstElementChild);
});

/** Put arriving articles whose id is already on the page in the old one's place, so that only new ones are appended. */
function replaceKnown(fragment) {
  for (const fresh of fragment.querySelectorAll(":scope > article.message")) {
    const known = document.getElementById(fresh.id);
    const reasoning = fresh.querySelector("details.reasoning");
    if (reasoning && messages.dataset.fold !== "thinking") reasoning.open = messages.dataset.fold === "always";
    // What a person wrote does not change, and may just be being edited.
    if (known?.querySelector(".edit-form")) fresh.remove();
    else if (known) replace(known, fresh);
  }
}

function replace(known, fresh) {
  const [before, after] = [known, fresh].map((article) => article.querySelector("details.reasoning"));
  const { activeElement } = document;
  const focused = known.contains(activeElement);
  if (before && after && setByHand.has(before)) {
    after.open = before.open;
    setByHand.add(after);
  }
  const from = known.dataset.status;
  holdHeight();
  known.replaceWith(fresh);
  htmx.process(fresh);
  const next = activeElement.matches("summary") ? fresh.querySelector("summary") : !touch.matches && composer;
  if (focused && next) next.focus({ preventScroll: true });
  announceStatus(fresh, from);
}

/** Keep the page as long as it was while the text of a replaced article comes in again, or a reader further down is moved up. */
function holdHeight() {
  messages.style.minBlockSize = `${messages.offsetHeight}px`;
  clearTimeout(held);
  held = setTimeout(() => { messages.style.minBlockSize = ""; }, HELD_MS);
}

function setStatus(article, footer) {
  const from = article.dataset.status;
  const to = footer.dataset.status;
  if (from === to) return;
  article.dataset.status = to;
  const reasoning = article.querySelector("details.reasoning");
  if (reasoning && !setByHand.has(reasoning)) {
    if (to === "thinking") reasoning.open = messages.dataset.fold !== "never";
    else if (messages.dataset.fold !== "always" && reasoning.open && !beingRead(reasoning)) reasoning.open = false;
  }
  announceStatus(article, from, footer);
}

/** Tell whether folding would take away what is being read: a reader who left the end, with the reasoning in sight or above. */
function beingRead(reasoning) {
  return messages.dataset.following === "false" && reasoning.getBoundingClientRect().top < innerHeight;
}

function announceStatus(article, from, footer = article.querySelector("footer[data-status]")) {
  const to = article.dataset.status;
  if (from === to) return;
  article.dispatchEvent(new CustomEvent("message:status", { bubbles: true, detail: { from, to, announcement: footer?.dataset.announcement ?? "" } }));
}
