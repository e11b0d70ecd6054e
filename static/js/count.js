// Counts the characters of a field with a limit, as the site does: an emoji is one.
for (const field of document.querySelectorAll("[data-count]")) {
  const count = document.getElementById(field.dataset.count);
  const show = () => {
    count.textContent = count.textContent.replace(/^[\d,]+/, [...field.value].length.toLocaleString("en"));
  };
  field.addEventListener("input", show);
  show(); // the browser may have restored a text
}
