// A model's thought. While it grows: shows its last lines, or in the pane its last part, whose end it follows. When the answer
// has ended: loads the outline with the text of all steps when it is opened, also at a step by its segment of the timeline.

const MAX_LENGTH = 40000; // characters after cutting off the beginning, which happens at 1.5 times as many
const MAX_NODES = 100;
const NEAR_PX = 8;
const PREVIEW_LENGTH = 400; // characters, more than three lines

const messages = document.getElementById("messages");
const leftEnd = new WeakSet();
const isLive = (pane) => /queued|thinking|answering/.test(pane.closest("article.message").dataset.status);

function update(pane) {
  preview(pane);
  if (pane.childNodes.length > MAX_NODES) pane.normalize();
  if (pane.textContent.length > MAX_LENGTH * 1.5) cut(pane);
  if (!leftEnd.has(pane)) pane.scrollTop = pane.scrollHeight;
}

/** Show the end of the text where it is not expanded. */
function preview(pane) {
  const element = pane.closest(".thought").querySelector(".thought-preview");
  let text = "";
  for (let node = pane.lastChild; node && text.length < PREVIEW_LENGTH; node = node.previousSibling) text = node.textContent.slice(-PREVIEW_LENGTH) + text;
  element.textContent = text.trimEnd().slice(-PREVIEW_LENGTH).replace(/\n\s*\n/g, "\n");
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

/** Load the outline into an open thought whose answer has ended, once. */
async function load(details) {
  const pane = details.querySelector(".reasoning-text");
  if (!details.open || !pane.childNodes.length || isLive(pane) || pane.ariaBusy || pane.querySelector(".outline")) return;
  pane.ariaBusy = "true";
  await htmx.ajax("GET", pane.dataset.url, { source: pane, target: pane, swap: "innerHTML" }).catch(() => {});
  pane.ariaBusy = null;
}

/** Open a thought at one of its steps. */
async function openStep(details, id) {
  details.open = true;
  await load(details);
  const step = document.getElementById(id);
  if (!step) return;
  step.open = true;
  step.querySelector("summary").focus({ preventScroll: true });
  step.scrollIntoView({ block: "start" });
}

messages.addEventListener("click", (event) => {
  const segment = event.target.closest(".timeline a");
  if (!segment || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  messages.dataset.following = "false";
  openStep(segment.closest(".thought").querySelector(".reasoning"), segment.href.baseVal.split("#")[1]);
});

messages.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-outline]");
  if (!button) return;
  const thought = button.closest(".reasoning");
  if (button.dataset.outline === "expand") {
    const expand = button.textContent === "Expand all";
    for (const step of thought.querySelectorAll(".step")) step.open = expand;
    button.textContent = expand ? "Collapse all" : "Expand all";
  } else {
    thought.open = false;
    thought.querySelector("summary").focus({ preventScroll: true });
    thought.scrollIntoView({ block: "nearest" });
  }
});

// The text in an open pane gives way to the outline, unless the reader has scrolled up to read it.
messages.addEventListener("message:status", ({ target }) => {
  const details = target.querySelector(".reasoning[open]");
  if (details && !leftEnd.has(details.querySelector(".reasoning-text"))) load(details);
});

// These events do not bubble: listen in the capture phase.
messages.addEventListener("toggle", ({ target }) => {
  if (!target.matches(".reasoning")) return;
  const pane = target.querySelector(".reasoning-text");
  if (isLive(pane)) return update(pane);
  pane.scrollTop = 0; // what was watched until its end is now read from the beginning
  load(target);
}, true);
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
