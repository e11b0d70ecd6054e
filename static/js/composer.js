// The composer: keys, growth, sending once, and keeping what was typed until the server has it.
// Tells the others: `composer:sent` on the form when a prompt was stored.

const form = document.getElementById("composer");
const field = form.elements.content;
const touch = matchMedia("(pointer: coarse)");
let sent = "";

/** A random UUID, also where crypto.randomUUID is missing: plain http on a local network is no secure context. */
function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function setText(text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function tell(sentence) {
  document.getElementById("composer-error").textContent = sentence;
}

field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.altKey || touch.matches) return;
  // Enter that accepts a candidate of an input method is not meant for us; Safari reports it as keyCode 229 alone.
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (field.value.trim()) form.requestSubmit(form.querySelector("[data-action=send]"));
});

// A key belongs to one text: the same text sent twice is stored once, a changed one is another prompt.
form.addEventListener("input", () => {
  form.elements.key.value = newKey();
  tell("");
  grow();
});

/** Fit the field to its text where the style sheet's field-sizing cannot. */
function grow() {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.blockSize = "auto";
  field.style.blockSize = `${field.scrollHeight}px`;
}

form.addEventListener("click", (event) => {
  if (event.target === form) field.focus();
});

form.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target === form) sent = field.value;
});

/** Tell whether the request ended elsewhere: after a session has ended it is redirected to the sign-in page. */
function strayed({ xhr, pathInfo }) {
  return xhr.status === 200 && new URL(xhr.responseURL).pathname !== new URL(pathInfo.finalRequestPath, location).pathname;
}

// The sign-in page must not pass for success.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!strayed(detail)) return;
  detail.shouldSwap = false;
  detail.isError = true;
});

// Every request of the page reports here: the composer's own, Stop, Retry, the list of conversations.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (detail.xhr.getResponseHeader("HX-Redirect")) return;
  if (!detail.successful) return tell(failure(detail, target === form));
  tell("");
  if (target !== form) return;
  // What was typed while the request was on its way is the beginning of the next prompt.
  setText(field.value.startsWith(sent) ? field.value.slice(sent.length).trimStart() : field.value);
  form.dispatchEvent(new CustomEvent("composer:sent", { bubbles: true }));
});

function failure(detail, isPrompt) {
  const { xhr } = detail;
  const kept = isPrompt ? " Your text is still here." : "";
  if (xhr.status === 422) return document.getElementById("composer-error").textContent;
  if (xhr.status === 0) return `The site could not be reached.${kept} Check the connection and try again.`;
  if (xhr.status === 401 || strayed(detail)) {
    return `You are signed out.${kept} Sign in in another tab, then try again.`;
  }
  if (xhr.status === 403) return `This page is too old to send from.${kept} Copy what you need, reload the page and try again.`;
  if (xhr.status === 404) return `This conversation is gone.${kept} Copy what you need into a new one.`;
  if (xhr.status === 413) return `This is more than the site accepts at once.${kept} Shorten it and try again.`;
  if (xhr.status === 429) return `That was too quick.${kept} Wait a minute and try again.`;
  if (xhr.status === 503) return `The site is not ready just now.${kept} Try again in a moment.`;
  return `Something went wrong on the site.${kept} Try again in a moment.`;
}

// The buttons are replaced when an answer begins or ends; whoever had just pressed one goes on in the field.
document.addEventListener("htmx:oobBeforeSwap", ({ target }) => {
  if (target.id === "composer-actions" && target.contains(document.activeElement) && !touch.matches) {
    field.focus({ preventScroll: true });
  }
});

document.addEventListener("click", (event) => {
  const example = event.target.closest("[data-fill]");
  if (!example) return;
  setText(example.textContent);
  field.focus();
});

grow();
