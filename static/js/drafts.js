// Saves the unsent text per person and conversation, and per question that is being edited, so that it survives a reload, a crash
// and leaving the page. On pages without a composer, signing out deletes them too.

const field = document.getElementById("composer-content");
const prefix = `draft:${document.body.dataset.person}:`;
const key = prefix + location.pathname;

const editKey = (form) => prefix + new URL(form.action).pathname;

function save(name, text) {
  if (text.trim()) localStorage.setItem(name, text);
  else localStorage.removeItem(name);
}

function restore(area, text) {
  if (!text || text === area.value) return;
  area.value = text;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

field?.addEventListener("input", () => save(key, field.value));

const draft = field && localStorage.getItem(key);
if (draft) {
  // A saved prompt that was chosen elsewhere follows what is there.
  const [{ type }] = performance.getEntriesByType("navigation");
  restore(field, type === "navigate" && !draft.includes(field.value) ? `${draft.trimEnd()}\n\n${field.value}` : draft);
}

// After a first prompt the page redirects to the new conversation, without another event from the field. What was typed during
// the request is the beginning of the next prompt.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  const url = detail.xhr.getResponseHeader("HX-Redirect");
  if (target.id !== "composer" || !url) return;
  localStorage.removeItem(key);
  const sent = detail.requestConfig.formData.get("content");
  save(prefix + new URL(url, location).pathname, field.value.startsWith(sent) ? field.value.slice(sent.length).trimStart() : field.value);
});

document.addEventListener("input", ({ target }) => {
  if (target.matches(".edit-form textarea")) save(editKey(target.form), target.value);
});
document.addEventListener("htmx:afterSettle", ({ target }) => {
  const area = target.querySelector(".edit-form textarea");
  if (area) restore(area, localStorage.getItem(editKey(area.form)));
});
document.addEventListener("prompt:sent", ({ target }) => {
  if (target.matches(".edit-form")) localStorage.removeItem(editKey(target));
});
document.addEventListener("click", ({ target }) => {
  if (target.matches("[data-action=cancel-edit]")) localStorage.removeItem(editKey(target.closest("form")));
}, { capture: true }); // before the form is removed
// Other people may use this browser.
document.addEventListener("submit", ({ target }) => {
  if (!("signOut" in target.dataset)) return;
  for (const name of Object.keys(localStorage)) if (name.startsWith(prefix)) localStorage.removeItem(name);
});
