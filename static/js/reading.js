// Reading a thought: j and k move between steps, links to steps leave no entries in the history, and going back returns to the
// place in the conversation that the reader came from.

const steps = [...document.querySelectorAll(".reading-step")];
const textFields = "input, textarea, select";
const linkOf = (step) => document.querySelector(`.reading-outline a[href="#${step.id}"]`);

/** Go to a step, and mark it in the outline. */
function show(step) {
  location.replace(`#${step.id}`);
  step.focus({ preventScroll: true });
  markCurrent();
}

function markCurrent() {
  const current = steps.find((step) => `#${step.id}` === location.hash);
  for (const step of steps) linkOf(step).toggleAttribute("aria-current", step === current);
}

/** Return the index of the step that is read: the first that ends below the upper quarter of the window. */
const currentIndex = () => steps.findIndex((step) => step.getBoundingClientRect().bottom > innerHeight / 4);

document.addEventListener("keydown", (event) => {
  const by = { j: 1, k: -1 }[event.key];
  if (!by || !document.querySelector("[data-single-keys]") || event.ctrlKey || event.metaKey || event.altKey || event.target.matches(textFields)) return;
  const focused = steps.indexOf(document.activeElement.closest(".reading-step"));
  const step = steps[focused < 0 ? currentIndex() : focused + by];
  if (step) show(step);
});

document.addEventListener("click", async (event) => {
  const link = event.target.closest(".reading a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const url = new URL(link.href.baseVal ?? link.href, location.href);
  const step = url.pathname === location.pathname && steps.find(({ id }) => `#${id}` === url.hash);
  if (step) {
    event.preventDefault();
    show(step);
    if (link.dataset.action === "copy-link" && navigator.clipboard) {
      await navigator.clipboard.writeText(url.href).then(() => { link.textContent = "Copied"; }, () => {});
    }
  } else if (link.dataset.action === "back" && document.referrer.split(/[?#]/)[0] === url.origin + url.pathname && history.length > 1) {
    event.preventDefault();
    history.back();
  }
});

// Words that were found stay marked until Escape is pressed.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.target.matches(textFields)) return;
  for (const mark of document.querySelectorAll(".reading mark")) mark.replaceWith(...mark.childNodes);
});

addEventListener("hashchange", markCurrent);
markCurrent();
