// The command palette: a dialog with the commands of this page, filtered here, and what the server finds in one's own
// conversations. A control with data-palette opens it; without a script that is a link to the search page.

const DEBOUNCE_MS = 150;

const dialog = document.getElementById("palette");
const input = dialog.querySelector("[role=combobox]");
const list = dialog.querySelector("[role=listbox]");
const commands = dialog.querySelector("[data-commands]");
const found = dialog.querySelector("[data-found]");
const status = dialog.querySelector("[role=status]");
const recent = found.innerHTML; // until the server has sent the newest again
let request = new AbortController(); // of the last request
let loading = Promise.resolve(); // ends when the options are of what was typed last
let moved = false; // whether the active option was chosen with a key

const options = () => [...list.querySelectorAll("[role=option]")].filter((option) => !option.closest("[hidden]"));
const active = () => document.getElementById(input.getAttribute("aria-activedescendant") ?? "");

function activate(option) {
  active()?.setAttribute("aria-selected", "false");
  input.setAttribute("aria-activedescendant", option?.id ?? "");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
}

/** Show the commands that contain all words; first, unless there are no words. */
function filterCommands() {
  const words = input.value.toLowerCase().split(/\s+/);
  for (const option of commands.querySelectorAll("[role=option]")) {
    option.hidden = !words.every((word) => option.textContent.toLowerCase().includes(word));
  }
  commands.hidden = !commands.querySelector("[role=option]:not([hidden])");
  const isFirst = commands === list.firstElementChild;
  if (isFirst !== Boolean(input.value.trim())) list[isFirst ? "append" : "prepend"](commands);
}

/** Show what the server finds, unless this is called again within `delay` ms. */
async function load(delay) {
  request.abort();
  request = new AbortController();
  const { signal } = request;
  await new Promise((resolve) => { setTimeout(resolve, delay); });
  const response = await fetch(`${dialog.dataset.url}?${new URLSearchParams({ q: input.value })}`, { signal }).catch(() => null);
  const html = response?.ok && !response.redirected ? await response.text().catch(() => "") : "";
  if (signal.aborted) return;
  const before = moved && active()?.id;
  found.innerHTML = html;
  status.textContent = html ? found.firstElementChild.dataset.status : response?.redirected
    ? "You are signed out. Reload the page to sign in again."
    : "Your conversations could not be searched. Check your connection and try again.";
  activate((before && document.getElementById(before)) || options()[0]);
}

function open() {
  input.value = "";
  found.innerHTML = recent;
  status.textContent = "";
  moved = false;
  filterCommands();
  dialog.showModal();
  activate(options()[0]);
  list.scrollTop = 0;
  loading = load(0);
}

/** Follow the active option, once it is of what was typed last; without any, go to the search page. */
async function choose() {
  const wanted = loading;
  if (!commands.contains(active())) await wanted;
  if (wanted !== loading || !dialog.open) return; // more was typed, or the dialog was closed
  if (active()) active().click();
  else if (input.value.trim()) input.form.requestSubmit();
}

const steps = {
  ArrowDown: (at, all) => all[(at + 1) % all.length],
  ArrowUp: (at, all) => all.at(at > 0 ? at - 1 : -1),
  Home: (at, all) => all[0],
  End: (at, all) => all.at(-1),
};

input.addEventListener("keydown", (event) => {
  if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
  if (event.key !== "Enter" && !steps[event.key]) return;
  event.preventDefault();
  if (event.key === "Enter") return choose();
  moved = true;
  const all = options();
  activate(steps[event.key](all.indexOf(active()), all));
});

input.addEventListener("input", () => {
  moved = false;
  filterCommands();
  activate(options()[0]);
  loading = load(DEBOUNCE_MS);
});

document.addEventListener("click", (event) => {
  if (!event.target.closest("[data-palette]") || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  if (dialog.open) dialog.close();
  else open();
});

// An option does what it does as a link or a button, and the focus is back before.
dialog.addEventListener("click", ({ target }) => {
  if (target === dialog || target.closest("[role=option], [data-close]")) dialog.close();
});

dialog.addEventListener("close", () => request.abort());
