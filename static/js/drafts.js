// Keeps what is being written, for each person and conversation, until it is sent: a reload, a crash or another page loses nothing.

const field = document.getElementById("composer-content");
const prefix = `draft:${document.body.dataset.person}:`;
const key = prefix + location.pathname;

function keep() {
  if (field.value.trim()) localStorage.setItem(key, field.value);
  else localStorage.removeItem(key);
}

if (!field.value && localStorage.getItem(key)) {
  field.value = localStorage.getItem(key);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

field.addEventListener("input", keep);
// A first prompt leaves for the page of its conversation without another event from the field.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (target.id === "composer" && detail.xhr.getResponseHeader("HX-Redirect")) localStorage.removeItem(key);
});
// Others may use this browser next.
document.addEventListener("submit", ({ target }) => {
  if (!("signOut" in target.dataset)) return;
  for (const name of Object.keys(localStorage)) if (name.startsWith(prefix)) localStorage.removeItem(name);
});
