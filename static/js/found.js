// Words that were found stay marked until Escape is pressed, also after a reload.

document.addEventListener("keydown", ({ key, target }) => {
  const marks = document.querySelectorAll(".messages mark, .reading mark");
  if (key !== "Escape" || !marks.length || target.closest("input, dialog, [popover]")) return;
  for (const mark of marks) mark.replaceWith(...mark.childNodes);
  const url = new URL(location.href);
  for (const name of ["find", "found", "q"]) url.searchParams.delete(name); // and not which messages it shows
  history.replaceState(history.state, "", url);
});
