// Adds a Wrap and a Copy button to every finished code block. A click on a link with data-copy-from copies what the link
// points to instead of following it.

const RESULT_MS = 1500;
const BUTTONS = '<button type="button" data-wrap aria-pressed="false">Wrap</button><button type="button" data-copy>Copy</button>';

const messages = document.getElementById("messages");
const announcer = document.getElementById("announcer");
const shown = new WeakMap(); // label → its own text and the timer that restores it, while the label shows a result

function addButtons(root) {
  for (const caption of root.querySelectorAll("figure.code > figcaption")) {
    // The unfinished tail is replaced with every frame: a button in it would vanish before it could be clicked.
    if (caption.closest(".tail") || caption.querySelector("button")) continue;
    caption.insertAdjacentHTML("beforeend", BUTTONS);
  }
}

/** Copy through the selection: navigator.clipboard is missing on plain http in a local network. */
function copySelection(source) {
  if (!source.isConnected) announcer.append(source); // only what is in the page can be selected; showResult removes it
  getSelection().selectAllChildren(source);
  const copied = document.execCommand("copy");
  getSelection().removeAllRanges();
  return copied;
}

/** Copy the text of `source`; return whether that worked. */
async function copy(source) {
  if (!navigator.clipboard) return copySelection(source);
  // Rejected without permission, and when the page has lost the focus.
  return navigator.clipboard.writeText(source.textContent).then(() => true, () => false);
}

/** Show the result as the label's text for a moment, and announce it. */
function showResult(label, copied) {
  const { text, timer } = shown.get(label) ?? { text: label.data };
  clearTimeout(timer);
  label.data = copied ? "Copied" : "Copy failed";
  announcer.textContent = label.data;
  const name = label.parentElement;
  if (name.matches(".tool-name")) name.classList.remove("visually-hidden");
  const restore = () => {
    label.data = text;
    if (name.matches(".tool-name")) name.classList.add("visually-hidden");
    shown.delete(label);
  };
  shown.set(label, { text, timer: setTimeout(restore, RESULT_MS) });
}

messages.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-wrap], [data-copy]");
  const figure = button?.closest("figure");
  if (button?.matches("[data-wrap]")) button.setAttribute("aria-pressed", figure.classList.toggle("wrapped"));
  else if (button) showResult(button.firstChild, await copy(figure.querySelector("code")));
});

messages.addEventListener("click", async (event) => {
  const link = event.target.closest("[data-copy-from]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const source = document.createElement("pre");
  const response = await fetch(link.href).catch(() => null);
  if (response?.ok && !response.redirected) source.textContent = await response.text().catch(() => "");
  showResult((link.querySelector(".tool-name") ?? link).firstChild, source.textContent !== "" && await copy(source));
});

document.addEventListener("htmx:load", ({ target }) => addButtons(target)); // also once of the whole page
