// Gives every finished block of code two buttons: one wraps its lines, one copies it. A link to a copy of an answer
// (data-copy-from) is copied from instead of followed.

const messages = document.getElementById("messages");
const announcer = document.getElementById("announcer");

function equip(root) {
  for (const caption of root.querySelectorAll("figure.code > figcaption")) {
    // The tail is rendered anew with every frame: a button there could not be hit.
    if (caption.closest(".tail") || caption.querySelector("button")) continue;
    caption.append(button("wrap", "Wrap"), button("copy", "Copy"));
    caption.querySelector("[data-wrap]").setAttribute("aria-pressed", "false");
  }
}

function button(action, name) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: name });
  made.dataset[action] = "";
  return made;
}

/** Copy by way of the selection: plain http on a local network has no navigator.clipboard. */
function copySelected(code) {
  if (!code.isConnected) announcer.append(code); // until it is said there that it was copied
  getSelection().selectAllChildren(code);
  const copied = document.execCommand("copy");
  getSelection().removeAllRanges();
  return copied;
}

async function copy(code) {
  if (!navigator.clipboard) return copySelected(code);
  await navigator.clipboard.writeText(code.textContent);
  return true;
}

messages.addEventListener("click", ({ target }) => {
  const button = target.closest("[data-wrap]");
  if (button) button.setAttribute("aria-pressed", button.closest("figure").classList.toggle("wrapped"));
});

messages.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]");
  if (!button) return;
  tell(button.firstChild, await copy(button.closest("figure").querySelector("code")));
});

function tell(label, copied) {
  const before = label.data;
  label.data = copied ? "Copied" : "Copy failed";
  announcer.textContent = label.data;
  setTimeout(() => { label.data = before; }, 1500);
}

messages.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-copy-from]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const source = document.createElement("pre");
  const answer = await fetch(link.href).catch(() => null);
  if (answer?.ok && !answer.redirected) source.textContent = await answer.text();
  tell(link.firstChild, source.textContent && await copy(source).catch(() => false));
});

new MutationObserver((records) => {
  for (const { addedNodes } of records) {
    for (const node of addedNodes) if (node instanceof Element) equip(node);
  }
}).observe(messages, { childList: true, subtree: true });

equip(messages);
