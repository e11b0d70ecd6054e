// The composer, and the form that edits a prompt: keys, growth, sending once, and keeping what was typed until the server
// has it. Tells the others: `prompt:sent` on the form when a prompt was stored.

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

/** Return where an error is told: in the form that had it, for what has no place of its own in the composer. */
function alertOf(element) {
  return element.querySelector("[role=alert]") ?? form.querySelector("[role=alert]");
}

document.addEventListener("keydown", (event) => {
  const { target } = event;
  if (!target.matches("textarea[name=content]") || event.key !== "Enter" || event.shiftKey || event.altKey || touch.matches) return;
  // Enter that accepts a candidate of an input method is not meant for us; Safari reports it as keyCode 229 alone.
  if (event.isComposing || event.keyCode === 229) return;
  event.preventDefault();
  if (target.value.trim()) target.form.requestSubmit(target.form.querySelector("[data-action$=send]"));
});

// A key belongs to one text: the same text sent twice is stored once, a changed one is another prompt.
document.addEventListener("input", ({ target }) => {
  if (!target.matches("textarea[name=content]")) return;
  target.form.elements.key.value = newKey();
  alertOf(target.form).textContent = "";
  grow(target);
});

/** Fit a field to its text where the style sheet's field-sizing cannot. */
function grow(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.blockSize = "auto";
  area.style.blockSize = `${area.scrollHeight}px`;
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
  const isPrompt = Boolean(target.elements?.content);
  alertOf(target).textContent = detail.successful ? "" : failure(detail, isPrompt, alertOf(target));
  if (!detail.successful || !isPrompt) return;
  // What was typed while the request was on its way is the beginning of the next prompt.
  if (target === form) setText(field.value.startsWith(sent) ? field.value.slice(sent.length).trimStart() : field.value);
  else goOn();
  target.dispatchEvent(new CustomEvent("prompt:sent", { bubbles: true }));
});

// A prompt that was taken back is put behind what has been written since. By the time the answer comes the socket has
// removed the button that asked, and htmx tells nothing of what removed elements asked for.
document.addEventListener("htmx:beforeRequest", ({ detail: { xhr, pathInfo } }) => {
  if (!pathInfo.requestPath.endsWith("/take-back/")) return;
  xhr.addEventListener("load", () => {
    if (!xhr.responseURL.endsWith(pathInfo.requestPath)) return;
    const { textContent } = new DOMParser().parseFromString(xhr.responseText, "text/html").body;
    if (xhr.status === 422) alertOf(form).textContent = textContent;
    if (xhr.status !== 200) return;
    setText([field.value.trimEnd(), textContent].filter(Boolean).join("\n\n"));
    field.focus();
  });
});

function failure(detail, isPrompt, alert) {
  const { xhr } = detail;
  const kept = isPrompt ? " Your text is still here." : "";
  if (xhr.status === 422) return alert.textContent; // it came with the response
  if (xhr.status === 0) return `The site could not be reached.${kept} Check your connection and try again.`;
  if (xhr.status === 401 || strayed(detail)) {
    return `You are signed out.${kept} Sign in in another tab, then try again.`;
  }
  if (xhr.status === 403) return `This page has expired.${kept} Copy what you need, reload the page and try again.`;
  if (xhr.status === 404) return `This conversation no longer exists.${kept} Copy what you need into a new one.`;
  if (xhr.status === 413) return `This is too large to send.${kept} Shorten it and try again.`;
  if (xhr.status === 429) return `Too many requests.${kept} Wait a minute and try again.`;
  if (xhr.status === 503) return `The site is temporarily unavailable.${kept} Try again in a moment.`;
  return `Something went wrong on the site.${kept} Try again in a moment.`;
}

/** Go on in the field, for whoever had pressed something that goes away. A touch keyboard would only be in the way. */
function goOn() {
  if (!touch.matches) field.focus({ preventScroll: true });
}

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail }) => {
  const { activeElement } = document;
  if (!target.matches("#composer-actions, article.message, footer.status") || !target.contains(activeElement)) return;
  const same = activeElement.dataset.action && detail.fragment.querySelector(`[data-action="${activeElement.dataset.action}"]`);
  if (same) setTimeout(() => same.focus({ preventScroll: true }));
  else goOn();
});

document.addEventListener("click", (event) => {
  const example = event.target.closest("[data-fill]");
  if (!example) return;
  setText(example.textContent);
  field.focus();
});

grow(field);
