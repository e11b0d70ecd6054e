// The composer and the form that edits a prompt: keys, height, an idempotency key per text, and the text, which stays until
// the server has stored it. Dispatches `prompt:sent` on the form when it has.

const form = document.getElementById("composer");
const field = form.elements.content;
const touch = matchMedia("(pointer: coarse)");
// What has happened, and what to do, by the response's status, which is 0 without a response.
const FAILURES = {
  0: ["The site could not be reached.", "Check your connection and try again."],
  401: ["You are signed out.", "Sign in in another tab, then try again."],
  403: ["This page has expired.", "Copy what you need, reload the page and try again."],
  404: ["This no longer exists.", "Copy what you need, and reload the page."],
  409: ["It is too late to cancel.", "The model has already started."],
  413: ["This is too large to send.", "Shorten it and try again."],
  429: ["Too many requests at once.", "Wait a few seconds and try again."],
  503: ["The site is temporarily unavailable.", "Try again in a moment."],
};
const SENDING_MS = 500; // after which a request takes long, as in composer.css
const announcer = document.getElementById("announcer");
let sent = ""; // the text of the last request
let sendingTimer = null;

/** Return 128 random bits, as a UUID without hyphens. crypto.randomUUID is missing on plain http in a local network, which is not a secure context. */
function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function setText(text) {
  field.value = text;
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

/** Return where to show an error of `element`: in its own form, or else in the composer. */
function alertOf(element) {
  return element.querySelector("[role=alert]") ?? form.querySelector("[role=alert]");
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!target.matches("textarea[name=content]") || event.key !== "Enter" || event.shiftKey || event.altKey || touch.matches) return;
  // Enter that accepts a candidate of an input method must not send. In Safari only keyCode 229 shows this.
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (target.value.trim()) target.form.requestSubmit(target.form.querySelector("[data-action$=send]"));
});

// Each text has its own idempotency key: sent twice, it is stored once; after a change it is another prompt.
document.addEventListener("input", ({ target }) => {
  if (!target.matches("textarea[name=content]")) return;
  target.form.elements.key.value = newKey();
  alertOf(target.form).textContent = "";
  grow(target);
});

/** Fit a field's height to its text in browsers without field-sizing. */
function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.blockSize = "auto";
  area.style.blockSize = `${area.scrollHeight}px`;
}

form.addEventListener("click", (event) => {
  if (event.target === form) field.focus();
});

form.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target !== form) return;
  sent = field.value;
  sendingTimer = setTimeout(() => { announcer.textContent = "Sending…"; }, SENDING_MS);
});

/** Return whether the response is of another page: after the session has ended, requests are redirected to the sign-in page. */
function wasRedirected({ xhr, pathInfo }) {
  return xhr.status === 200 && new URL(xhr.responseURL).pathname !== new URL(pathInfo.finalRequestPath, location).pathname;
}

// The sign-in page is not a successful response.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!wasRedirected(detail)) return;
  detail.shouldSwap = false;
  detail.isError = true;
});

// For every request of the page: the composer, Stop, Retry, the list of conversations.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (detail.xhr.getResponseHeader("HX-Redirect")) return;
  const isPrompt = Boolean(target.elements?.content);
  if (target === form) clearTimeout(sendingTimer);
  const alert = alertOf(target);
  if (detail.successful && alert.contains(document.activeElement)) focusField();
  alert.textContent = detail.successful ? "" : failure(detail, isPrompt, alert);
  alert.toggleAttribute("data-unreachable", detail.xhr.status === 0);
  // This button sends the form it is in. The key makes it harmless if the server has stored the text already.
  if (detail.xhr.status === 0 && isPrompt) alert.append(" ", Object.assign(document.createElement("button"), { className: "button button-quiet", textContent: "Send again" }));
  if (!detail.successful || !isPrompt) return;
  // What was typed during the request is the beginning of the next prompt.
  if (target === form) setText(field.value.startsWith(sent) ? field.value.slice(sent.length).trimStart() : field.value);
  else focusField();
  target.dispatchEvent(new CustomEvent("prompt:sent", { bubbles: true }));
});

/** Take back what was said about the connection, once it works again. */
function onConnected() {
  for (const alert of document.querySelectorAll("[data-unreachable]")) {
    alert.removeAttribute("data-unreachable");
    const button = alert.querySelector("button");
    alert.replaceChildren(...(button ? ["The connection is back. Your text is still here. ", button] : []));
  }
}

addEventListener("online", onConnected);
document.addEventListener("htmx:wsOpen", onConnected);

// A cancelled prompt is appended to the text in the composer. By now the socket may have removed the button of the request, after
// which there is no htmx:afterRequest.
field.addEventListener("htmx:beforeSwap", ({ detail }) => {
  detail.shouldSwap = false;
  if (detail.xhr.status !== 200 || wasRedirected(detail)) alertOf(form).textContent = failure(detail, false);
  else {
    const { body } = new DOMParser().parseFromString(detail.serverResponse, "text/html");
    setText([field.value.trimEnd(), body.querySelector("p").textContent].filter(Boolean).join("\n\n"));
    document.getElementById("attached-files").append(...body.querySelectorAll("li"));
    htmx.process(form);
  }
  field.focus();
});

function failure(detail, isPrompt, alert) {
  const status = wasRedirected(detail) ? 401 : detail.xhr.status;
  if (status === 422) return alert.textContent; // swapped in with the response
  const [what, next] = FAILURES[status] ?? ["Something went wrong on the site.", "Try again in a moment."];
  return isPrompt ? `${what} Your text is still here. ${next}` : `${what} ${next}`;
}

/** Focus the composer when the focused control is removed, except where that opens a touch keyboard. */
function focusField() {
  if (!touch.matches) field.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
  const example = event.target.closest("[data-fill]");
  if (!example) return;
  setText(example.textContent);
  field.focus();
});

grow(field);
