// Single keys on review pages, except while typing: a key clicks the control with that data-key, and focuses what it chooses;
// j and k move between messages, o shows or hides the reasoning.
const textFields = "textarea, select, input:not([type=radio], [type=checkbox])";
const messages = [...document.querySelectorAll("article.message")];

/** Return the index of the focused message, or else of the first one in view. */
function currentIndex() {
  const focused = messages.indexOf(document.activeElement.closest("article.message"));
  return focused < 0 ? messages.findIndex((message) => message.getBoundingClientRect().bottom > 0) : focused;
}

function moveFocus(by) {
  const isFocused = document.activeElement.closest("article.message");
  const message = messages[currentIndex() + (isFocused ? by : 0)];
  if (!message) return;
  message.tabIndex = -1;
  message.focus({ preventScroll: true });
  message.scrollIntoView({ block: "start" });
}

const actions = {
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  o: () => messages.slice(Math.max(0, currentIndex())).find((message) => message.querySelector("details.reasoning"))?.querySelector("summary").click(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.target.closest(textFields)) return;
  const control = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  if (!control && !actions[event.key]) return;
  event.preventDefault();
  if (!control) return actions[event.key]();
  control.control?.focus({ preventScroll: true });
  control.click();
});
