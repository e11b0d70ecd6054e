// Switching between versions keeps the control that was used in its place and focused. The socket removes the articles of
// the old version, and sends those of the new one.

const messages = document.getElementById("messages");
let switching = null; // the control that was used, its place, its button's name, and the id of the new version

messages.addEventListener("htmx:beforeRequest", ({ target }) => {
  if (target.dataset.version) switching = { control: target.closest(".versions"), name: target.ariaLabel, version: target.dataset.version };
});

document.addEventListener("htmx:oobBeforeSwap", ({ target, detail: { fragment } }) => {
  if (!switching) return;
  const { control, version } = switching;
  if (control.isConnected) switching.top = control.getBoundingClientRect().top;
  // The new branch goes on for longer than a page.
  else if (target === messages && fragment.querySelector("article") && !fragment.querySelector(`#message-${version}`)) {
    location.assign(`?message=${version}#message-${version}`);
  }
});

document.addEventListener("htmx:wsAfterMessage", () => {
  const article = switching && !switching.control.isConnected && document.getElementById(`message-${switching.version}`);
  if (!article) return;
  const { name, top } = switching;
  const control = article.querySelector(".versions");
  const scrollToPlace = () => scrollBy({ top: control.getBoundingClientRect().top - top, behavior: "instant" });
  switching = null;
  Object.assign(messages.style, { minBlockSize: "", paddingBlockEnd: "" }); // the height of the old version no longer counts
  scrollToPlace();
  const missing = control.getBoundingClientRect().top - top;
  if (missing > 0) { // the page ends too early: it stays longer until the next question
    messages.style.paddingBlockEnd = `${missing}px`;
    scrollToPlace();
  }
  (control.querySelector(`[aria-label="${name}"]:enabled`) ?? control.querySelector("button:enabled")).focus({ preventScroll: true });
});

document.addEventListener("prompt:sent", () => { messages.style.paddingBlockEnd = ""; });
