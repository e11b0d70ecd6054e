// The options of a conversation: the menu of the page's own, and one menu for all rows of the list, which is filled for the row
// it is opened from. Arrow keys move between the options. The menu closes when an option has been carried out.

const sidebar = document.getElementById("sidebar");
const controls = "summary, button, select, input:not([type=hidden])";
const rowButtons = () => [...sidebar.querySelectorAll("[popovertarget=row-menu]")].filter((button) => button.checkVisibility());
let opener = null; // the button that a menu was opened with
let index = 0; // of its row

/** Return the address, title and placement of the conversation that a menu is for. */
function subject() {
  const row = opener.closest("li");
  if (!row) return [location.pathname, document.getElementById("title").textContent, document.getElementById("placement").dataset.placement];
  return [row.querySelector("a").pathname, row.querySelector(".listed-title").textContent, row.dataset.order[0]];
}

function fill(menu) {
  const [url, title, placement] = subject();
  menu.dataset.placement = placement;
  for (const form of menu.querySelectorAll("form")) form.action = `${url}${form.dataset.command}/`;
  for (const details of menu.querySelectorAll("details")) details.open = false;
  for (const alert of menu.querySelectorAll("[role=alert]")) alert.textContent = "";
  menu.querySelector("[name=title]").value = title;
}

/** Return what has the focus after the menu: its button, or if the row is gone, the button of the row in its place. */
function back() {
  const buttons = rowButtons();
  return opener.checkVisibility() ? opener : buttons[Math.min(index, buttons.length - 1)] ?? sidebar.querySelector(".new-conversation");
}

document.addEventListener("click", ({ target }) => {
  const button = target.closest("[popovertarget=row-menu], [popovertarget=conversation-menu]");
  if (!button) return;
  if (button !== opener) button.popoverTargetElement.hidePopover(); // it is open for another row, and would only close
  // The command in the palette is hidden when it has been chosen.
  opener = button.closest("dialog") ? document.querySelector(".topbar [popovertarget=conversation-menu]") : button;
  index = rowButtons().indexOf(button);
}, true);

for (const menu of document.querySelectorAll(".options")) {
  menu.addEventListener("beforetoggle", (event) => {
    opener.setAttribute("aria-expanded", event.newState === "open");
    if (event.newState === "open") fill(menu);
  });
  // Of the menu, and of the details in it: these events do not bubble.
  menu.addEventListener("toggle", ({ target, newState }) => {
    if (newState === "open" && target.matches("[data-rename]")) target.querySelector("[name=title]").select();
    if (newState === "closed" && target === menu && (document.activeElement === document.body || menu.contains(document.activeElement))) back().focus({ preventScroll: true });
  }, true);
  menu.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by || event.target.matches("input, select")) return;
    event.preventDefault();
    const shown = [...menu.querySelectorAll(controls)].filter((control) => control.checkVisibility());
    shown.at((shown.indexOf(document.activeElement) + by) % shown.length).focus();
  });
}

// The address was set by `fill`, after htmx had read the form.
document.addEventListener("htmx:configRequest", ({ target, detail }) => {
  if (target.closest(".options")) detail.path = target.action;
});

document.addEventListener("htmx:afterRequest", ({ target, detail }) => {
  if (detail.successful) target.closest(".options")?.hidePopover();
});

sidebar.dataset.options = ""; // rows have a button where this script fills the menu
