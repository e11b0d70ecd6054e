// Closes the form that edits a prompt: on Escape, on Cancel, and when it has been sent.

const messages = document.getElementById("messages");

function closeForm(form) {
  const link = form.closest("article").querySelector("[data-action=edit]");
  form.remove();
  link.focus();
}

messages.addEventListener("keydown", (event) => {
  const form = event.target.closest(".edit-form");
  if (form && event.key === "Escape" && !event.isComposing) closeForm(form);
});

messages.addEventListener("click", (event) => {
  const cancel = event.target.closest("[data-action=cancel-edit]");
  if (!cancel) return;
  event.preventDefault();
  closeForm(cancel.closest("form"));
});

messages.addEventListener("htmx:afterSettle", ({ target }) => {
  const field = target.querySelector(".edit-form textarea");
  if (!field) return;
  field.setSelectionRange(field.value.length, field.value.length);
  field.form.scrollIntoView({ block: "nearest" });
});

messages.addEventListener("prompt:sent", ({ target }) => target.remove());
