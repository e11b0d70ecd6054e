// Saves the unsent text per person and conversation, so that it survives a reload, a crash and leaving the page.
// On pages without a composer, signing out deletes them too.

const field = document.getElementById("composer-content");
const prefix = `draft:${document.body.dataset.person}:`;
const key = prefix + location.pathname;

function save() {
  if (field.value.trim()) localStorage.setItem(key, field.value);
  else localStorage.removeItem(key);
}

if (field && !field.value && localStorage.getItem(key)) {
  field.value = localStorage.getItem(key);
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

field?.addEventListener("input", save);
// After a first prompt the page redirects to the new conversation, without another event from the field.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (target.id === "composer" && detail.xhr.getResponseHeader("HX-Redirect")) localStorage.removeItem(key);
});
// Other people may use this browser.
document.addEventListener("submit", ({ target }) => {
  if (!("signOut" in target.dataset)) return;
  for (const name of Object.keys(localStorage)) if (name.startsWith(prefix)) localStorage.removeItem(name);
});
