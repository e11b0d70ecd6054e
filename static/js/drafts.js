// Saves the unsent text per person and conversation, and per question that is edited, so that it survives a reload, a crash and
// leaving the page. On pages without a composer, signing out deletes them too.

const field = document.getElementById("composer-content");
const prefix = `draft:${document.body.dataset.person}:`;
let path = location.pathname; // of the page at which the composer's text is asked next

const keyOf = (area) => prefix + (area === field ? path : new URL(area.form.action).pathname);

function save(key, text) {
  if (text.trim()) localStorage.setItem(key, text);
  else localStorage.removeItem(key);
}

function restore(area) {
  const draft = area && localStorage.getItem(keyOf(area));
  if (!draft || draft === area.value) return;
  // A saved prompt that was chosen on its page follows the draft.
  const isChosen = area === field && performance.getEntriesByType("navigation")[0].type === "navigate" && !draft.includes(area.value);
  area.value = isChosen ? `${draft.trimEnd()}\n\n${area.value}` : draft;
  area.dispatchEvent(new Event("input", { bubbles: true }));
}

document.addEventListener("input", ({ target }) => {
  if (target.matches("textarea[name=content]")) save(keyOf(target), target.value);
});
restore(field);
document.addEventListener("htmx:afterSettle", ({ target }) => restore(target.querySelector(".edit-form textarea")));
document.addEventListener("click", ({ target }) => {
  if (target.matches("[data-action=cancel-edit]")) save(keyOf(target.closest("form").elements.content), "");
}, { capture: true }); // before the form is removed
document.addEventListener("htmx:beforeRequest", ({ target: form }) => {
  if (!form.matches(".edit-form")) return;
  // On the form itself: the socket may have removed it before the response.
  form.addEventListener("htmx:afterRequest", ({ detail }) => { if (detail.successful) save(keyOf(form.elements.content), ""); });
});
// A first prompt redirects to its conversation. What is typed until that page is loaded is the beginning of the next prompt.
document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  const url = detail.xhr.getResponseHeader("HX-Redirect");
  if (target.id !== "composer" || !url) return;
  save(keyOf(field), "");
  path = new URL(url, location).pathname;
  const sent = detail.requestConfig.formData.get("content");
  if (field.value.startsWith(sent)) field.value = field.value.slice(sent.length).trimStart();
  save(keyOf(field), field.value);
});
// Other people may use this browser.
document.addEventListener("submit", ({ target }) => {
  if (!("signOut" in target.dataset)) return;
  for (const name of Object.keys(localStorage)) if (name.startsWith(prefix)) localStorage.removeItem(name);
});
