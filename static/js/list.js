// The list of conversations: puts each row that the server sends where it belongs, and joins pages of older conversations.
// Rows and the link to older ones have a data-order, the last of which comes first, and rows the heading or folder they are under.

const list = document.getElementById("listed");
const today = document.getElementById("listed-today");
const groups = () => [...list.querySelectorAll(":scope > ul:is([id], :not(:empty))")]; // others have lost their last row, and stay hidden
const nameOf = (group) => group.getAttribute("aria-label");

/** Return the group with this heading; a new one stands before the first with rows that come after `order`. */
function groupFor(heading, order) {
  const found = groups().find((group) => nameOf(group) === heading);
  if (found) return found;
  const created = today.cloneNode();
  created.removeAttribute("id");
  created.setAttribute("aria-label", heading);
  const title = Object.assign(today.previousElementSibling.cloneNode(), { textContent: heading });
  const before = groups().find((group) => group.firstElementChild?.dataset.order < order)?.previousElementSibling;
  for (const part of [title, created]) list.insertBefore(part, before ?? list.querySelector(".older"));
  return created;
}

/** Show what `row` says. Its element on the page stays, with the focus in it and the menu that was opened from it. */
function place(row) {
  const { order, group } = row.dataset;
  const shown = document.getElementById(row.id);
  const moves = shown?.dataset.order !== order || shown.dataset.group !== group;
  for (const part of shown ? row.querySelectorAll("[id]") : []) document.getElementById(part.id).replaceChildren(...part.childNodes);
  if (!moves) return;
  const element = shown ?? row;
  const isInFolder = group.startsWith("folder-");
  // Its folder is newer than the page, or it is among the older ones.
  if (isInFolder ? !document.getElementById(group) : list.querySelector(".older")?.dataset.order > order) return element.remove();
  Object.assign(element.dataset, { order, group });
  const { activeElement } = document;
  const target = isInFolder ? document.getElementById(group) : groupFor(group, order);
  target.insertBefore(element, [...target.children].find((other) => other !== element && other.dataset.order < order) ?? null);
  if (document.activeElement !== activeElement) activeElement.focus({ preventScroll: true });
}

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail }) => {
  if (target !== today) return;
  detail.shouldSwap = false;
  detail.fragment.querySelectorAll("li").forEach(place);
});

// A page of older conversations begins with the heading that the page before ended with.
list.addEventListener("htmx:afterSwap", () => {
  for (const group of groups()) {
    const first = groups().find((other) => nameOf(other) === nameOf(group));
    if (first !== group) first.append(...group.children);
  }
});
