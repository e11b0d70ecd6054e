// Gives every finished block of code two buttons: one wraps its lines, one copies it.

const messages = document.getElementById("messages");
const announcer = document.getElementById("announcer");
const SHOWN_MS = 1500;

function equip(root) {
  for (const caption of root.querySelectorAll("figure.code > figcaption")) {
    // The tail is rendered anew with every frame: a button there could not be hit.
    if (caption.closest(".tail") || caption.querySelector("button")) continue;
    caption.append(button("wrap", "Wrap"), button("copy", "Copy"));
    caption.querySelector("[data-wrap]").setAttribute("aria-pressed", "false");
  }
}

function button(action, name) {
  const made = document.createElement("button");
  made.type = "button";
  made.dataset[action] = "";
  made.textContent = name;
  return made;
}

/** Copy by way of the selection: plain http on a local network has no navigator.clipboard. */
function copySelected(code) {
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
  const copied = await copy(button.closest("figure").querySelector("code"));
  button.textContent = copied ? "Copied" : "Not copied";
  announcer.textContent = button.textContent;
  setTimeout(() => { button.textContent = "Copy"; }, SHOWN_MS);
});

new MutationObserver((records) => {
  for (const { addedNodes } of records) {
    for (const node of addedNodes) if (node instanceof Element) equip(node);
  }
}).observe(messages, { childList: true, subtree: true });

equip(messages);
