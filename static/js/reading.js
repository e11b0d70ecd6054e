// Reading a thought: links to steps leave no entries in the history, and going back returns to the place in the conversation that
// the reader came from.

const steps = [...document.querySelectorAll(".reading-step")];
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

addEventListener("hashchange", markCurrent);
markCurrent();
