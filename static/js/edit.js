// Leaves the form that edits a prompt: by Escape, by Cancel, or once it was sent.

const messages = document.getElementById("messages");

function leave(form) {
  const link = form.closest("article").querySelector("[data-action=edit]");
  form.remove();
  link.focus();
}

messages.addEventListener("keydown", (event) => {
  const form = event.target.closest(".edit-form");
  if (form && event.key === "Escape" && !event.isComposing) leave(form);
});

messages.addEventListener("click", (event) => {
  const cancel = event.target.closest("[data-action=cancel-edit]");
  if (!cancel) return;
  event.preventDefault();
  leave(cancel.closest("form"));
});

messages.addEventListener("htmx:afterSettle", ({ target }) => {
  const field = target.querySelector(".edit-form textarea");
  if (!field) return;
  field.setSelectionRange(field.value.length, field.value.length);
  field.form.scrollIntoView({ block: "nearest" });
});

messages.addEventListener("prompt:sent", ({ target }) => target.remove());
