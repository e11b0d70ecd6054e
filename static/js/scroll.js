// Follows new text while the reader is at the end of the page, and never moves the page otherwise.
// Tells the others: #messages[data-following] is "true" or "false".

const NEAR_PX = 8;

const messages = document.getElementById("messages");
const dock = document.querySelector(".composer-dock");
const jump = document.getElementById("jump");
const page = document.documentElement;
let lastY = scrollY;

const distance = () => page.scrollHeight - innerHeight - scrollY;

function follow(following) {
  if (messages.dataset.following === String(following)) return;
  messages.dataset.following = following;
  jump.hidden = following;
  // Kept by the browser with the page: after a reload a reader at the end is led to the end, any other to where they were.
  history.scrollRestoration = following ? "manual" : "auto";
}

function toEnd() {
  follow(true);
  scrollTo({ top: page.scrollHeight, behavior: "instant" });
  lastY = scrollY; // before its event: who scrolls up until then is seen to do so
}

/** Load what stands before the first message shown, a screen before it is reached. */
function reachBack() {
  if (scrollY < innerHeight) messages.querySelector(":scope > .earlier")?.dispatchEvent(new Event("near"));
}

// What was loaded on the way up grows the page above the reader: the first message that was there stays where it is.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.target.matches(".earlier")) return;
  const first = messages.querySelector(":scope > article");
  const before = first.getBoundingClientRect().top;
  page.style.overflowAnchor = "none"; // the browser's own way does nothing at the very top
  requestAnimationFrame(() => {
    scrollBy({ top: first.getBoundingClientRect().top - before, behavior: "instant" });
    page.style.overflowAnchor = "";
  });
});

addEventListener("scroll", () => {
  reachBack();
  if (distance() <= NEAR_PX) follow(true);
  else if (scrollY < lastY) follow(false);
  lastY = scrollY;
}, { passive: true });

// A wheel turned upwards counts at once: its scroll event may come only after the next text has moved the page.
messages.addEventListener("wheel", (event) => {
  if (event.deltaY < 0 && scrollY > 0 && !event.ctrlKey) follow(false);
}, { passive: true });

// Opening or folding reasoning keeps it where it is, also at the end of the page.
messages.addEventListener("click", (event) => {
  if (event.target.closest("summary")) follow(false);
});

/** Keep a reader who was at the end there, after the thread, the composer or the window (a phone's keyboard) changed its size. */
function keepUp() {
  if (messages.dataset.following === "true") toEnd();
  else follow(distance() <= NEAR_PX);
}

new ResizeObserver(keepUp).observe(messages);
new ResizeObserver(() => {
  page.style.setProperty("--dock", `${dock.offsetHeight}px`);
  keepUp();
}).observe(dock);
addEventListener("resize", keepUp);

jump.addEventListener("click", () => {
  toEnd();
  document.getElementById("composer-content").focus({ preventScroll: true });
});
document.addEventListener("prompt:sent", toEnd);

const [navigation] = performance.getEntriesByType("navigation");
if (location.hash || (navigation.type !== "navigate" && history.scrollRestoration === "auto")) follow(distance() <= NEAR_PX);
else toEnd();
