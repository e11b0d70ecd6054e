// Closes the form that edits a prompt: on Escape, on Cancel, and when it has been sent.

const messages = document.getElementById("messages");

messages.addEventListener("keydown", ({ key, isComposing, target }) => {
  if (key === "Escape" && !isComposing) target.closest(".edit-form")?.querySelector("[data-action=cancel-edit]").click();
});

messages.addEventListener("click", (event) => {
  const cancel = event.target.closest("[data-action=cancel-edit]");
  if (!cancel) return;
  event.preventDefault();
  const link = cancel.closest("article").querySelector("[data-action=edit]");
  cancel.closest("form").remove();
  link.focus();
});

messages.addEventListener("htmx:afterSettle", ({ target }) => {
  const field = target.querySelector(".edit-form textarea");
  if (!field) return;
  field.setSelectionRange(field.value.length, field.value.length);
  field.form.scrollIntoView({ block: "nearest" });
});

messages.addEventListener("prompt:sent", ({ target }) => target.remove());
