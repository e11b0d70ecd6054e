// The pane of a model's reasoning: it follows its own end while text comes in, keeps only the last part of a long one in the page,
// and is filled with the rendered whole when somebody opens it after the end.

const MOST = 40000; // characters, and half as many again before the beginning is cut off
const NODES = 100;
const NEAR_PX = 8;

const messages = document.getElementById("messages");
const leftEnd = new WeakSet();
const isLive = (pane) => /queued|thinking|answering/.test(pane.closest("article.message").dataset.status);

function grow(pane) {
  if (pane.childNodes.length > NODES) pane.normalize();
  if (pane.textContent.length > MOST * 1.5) cut(pane);
  if (!leftEnd.has(pane)) pane.scrollTop = pane.scrollHeight;
}

/** Leave out the beginning, from a line's start on; what is in sight stays where it is. */
function cut(pane) {
  const note = pane.querySelector(".reasoning-cut") ?? document.createElement("p");
  note.className = "reasoning-cut";
  note.textContent = "The beginning will be shown again when the answer is finished.";
  const text = [...pane.childNodes].map((node) => (node === note ? "" : node.textContent)).join("");
  const at = text.indexOf("\n", text.length - MOST) + 1 || text.length - MOST;
  const { scrollTop, scrollHeight } = pane; // before: in a shorter pane the place may be past the end
  pane.replaceChildren(note, text.slice(at));
  pane.scrollTop = scrollTop - (scrollHeight - pane.scrollHeight);
}

function load(details) {
  const pane = details.querySelector(".reasoning-text");
  if (!details.open || !pane.childNodes.length || isLive(pane) || "rendered" in pane.dataset) return;
  pane.dataset.rendered = "";
  leftEnd.add(pane);
  htmx.ajax("GET", pane.dataset.url, { source: pane, target: pane, swap: "innerHTML" }).catch(() => { delete pane.dataset.rendered; });
}

// Neither bubbles.
messages.addEventListener("toggle", ({ target }) => { if (target.matches(".reasoning")) load(target); }, true);
messages.addEventListener("scroll", ({ target }) => {
  if (target.scrollHeight - target.clientHeight - target.scrollTop <= NEAR_PX) leftEnd.delete(target);
  else leftEnd.add(target);
}, true);

new MutationObserver((records) => {
  for (const pane of new Set(records.map(({ target }) => target))) {
    if (pane.matches?.(".reasoning-text") && isLive(pane)) grow(pane);
  }
}).observe(messages, { childList: true, subtree: true });

for (const details of messages.querySelectorAll(".reasoning[open]")) load(details);
for (const pane of messages.querySelectorAll(".reasoning-text")) if (isLive(pane)) grow(pane);
