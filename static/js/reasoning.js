// The pane with a model's reasoning: follows its end while text arrives, keeps only the last part of a long text in the page,
// and loads the complete, rendered text when it is opened after the answer has ended.

const MAX_LENGTH = 40000; // characters after cutting off the beginning, which happens at 1.5 times as many
const MAX_NODES = 100;
const NEAR_PX = 8;

const messages = document.getElementById("messages");
const leftEnd = new WeakSet();
const isLive = (pane) => /queued|thinking|answering/.test(pane.closest("article.message").dataset.status);

function update(pane) {
  if (pane.childNodes.length > MAX_NODES) pane.normalize();
  if (pane.textContent.length > MAX_LENGTH * 1.5) cut(pane);
  if (!leftEnd.has(pane)) pane.scrollTop = pane.scrollHeight;
}

/** Remove the beginning, up to the start of a line. What is in view does not move. */
function cut(pane) {
  const note = pane.querySelector(".reasoning-cut") ?? document.createElement("p");
  note.className = "reasoning-cut";
  note.textContent = "The beginning will be shown again when the answer is finished.";
  const text = [...pane.childNodes].map((node) => (node === note ? "" : node.textContent)).join("");
  const at = text.indexOf("\n", text.length - MAX_LENGTH) + 1 || text.length - MAX_LENGTH;
  const { scrollTop, scrollHeight } = pane; // read first: a shorter pane may clamp scrollTop
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

// These events do not bubble: listen in the capture phase.
messages.addEventListener("toggle", ({ target }) => { if (target.matches(".reasoning")) load(target); }, true);
messages.addEventListener("scroll", ({ target }) => {
  if (target.scrollHeight - target.clientHeight - target.scrollTop <= NEAR_PX) leftEnd.delete(target);
  else leftEnd.add(target);
}, true);

new MutationObserver((records) => {
  for (const pane of new Set(records.map(({ target }) => target))) {
    if (pane.matches?.(".reasoning-text") && isLive(pane)) update(pane);
  }
}).observe(messages, { childList: true, subtree: true });

for (const details of messages.querySelectorAll(".reasoning[open]")) load(details);
for (const pane of messages.querySelectorAll(".reasoning-text")) if (isLive(pane)) update(pane);
