// Follows new text while the reader is at the end of the page, and never moves the page otherwise.
// Sets #messages[data-following] to "true" or "false".

const NEAR_PX = 8;

const messages = document.getElementById("messages");
const dock = document.querySelector(".composer-dock");
const jump = document.getElementById("jump");
const page = document.documentElement;
let lastY = scrollY;
let hasNews = false; // text has arrived below the reader

const distance = () => page.scrollHeight - innerHeight - scrollY;

function setFollowing(following) {
  if (messages.dataset.following === String(following)) return;
  messages.dataset.following = following;
  showJump();
  // The browser stores this with the page: after a reload a reader at the end returns to the end, any other to their position.
  history.scrollRestoration = following ? "manual" : "auto";
}

/** Show the button that leads to new text. Without any it would only cover what is being read. */
function showJump() {
  const following = messages.dataset.following === "true";
  const isLive = messages.querySelector(":scope > [data-status=queued], :scope > [data-status=thinking], :scope > [data-status=answering]");
  hasNews = !following && (hasNews || Boolean(isLive));
  jump.hidden = !hasNews;
}

function scrollToEnd() {
  if (!messages.firstElementChild) return; // a new conversation
  setFollowing(true);
  scrollTo({ top: page.scrollHeight, behavior: "instant" });
  lastY = scrollY; // before the scroll event, so that scrolling up in the meantime is detected
}

/** Load earlier messages when the reader is within one screen of the first message. */
function loadEarlier() {
  if (scrollY < innerHeight) messages.querySelector(":scope > .earlier")?.dispatchEvent(new Event("near"));
}

// Earlier messages make the page longer above the reader: keep the message that was first in its position.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  if (!detail.target.matches(".earlier")) return;
  const first = messages.querySelector(":scope > article");
  const before = first.getBoundingClientRect().top;
  page.style.overflowAnchor = "none"; // the browser's scroll anchoring does nothing at the very top
  requestAnimationFrame(() => {
    scrollBy({ top: first.getBoundingClientRect().top - before, behavior: "instant" });
    page.style.overflowAnchor = "";
  });
});

addEventListener("scroll", () => {
  loadEarlier();
  if (distance() <= NEAR_PX) setFollowing(true);
  else if (scrollY < lastY) setFollowing(false);
  lastY = scrollY;
}, { passive: true });

// Stop following on the wheel event: the scroll event may come only after the next text has moved the page.
messages.addEventListener("wheel", (event) => {
  if (event.deltaY < 0 && scrollY > 0 && !event.ctrlKey) setFollowing(false);
}, { passive: true });

// Expanding or collapsing reasoning and switching versions do not move the page, even at its end.
messages.addEventListener("click", (event) => {
  if (event.target.closest("summary, .versions button")) setFollowing(false);
});

/** Stay at the end after the messages, the composer or the window (a phone's keyboard) have changed their size. */
function onResize() {
  if (messages.dataset.following === "true") scrollToEnd();
  else setFollowing(distance() <= NEAR_PX);
  showJump();
}

new ResizeObserver(onResize).observe(messages);
new ResizeObserver(() => {
  page.style.setProperty("--dock", `${dock.offsetHeight}px`);
  onResize();
}).observe(dock);
addEventListener("resize", onResize);

jump.addEventListener("click", () => {
  scrollToEnd();
  document.getElementById("composer-content").focus({ preventScroll: true });
});
document.addEventListener("prompt:sent", scrollToEnd);

const [navigation] = performance.getEntriesByType("navigation");
if (location.hash || (navigation.type !== "navigate" && history.scrollRestoration === "auto")) setFollowing(distance() <= NEAR_PX);
else scrollToEnd();
