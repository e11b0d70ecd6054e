// Reconnects after every close, and says so quietly when it takes longer than a moment.

const RETRIED_BY_HTMX = [1006, 1011, 1012, 1013]; // the extension reconnects after these alone
const QUIET_MS = 3000;
const STEADY_MS = 10000; // a connection that lasted this long clears the count of attempts
const LONGEST_DELAY_MS = 10000;

const notices = document.querySelectorAll("[data-connection]");
let attempts = 0;
let openedAt = null;
let pending = null;
let ended = false; // there is nothing to come back to

function show(name) {
  clearTimeout(pending);
  pending = null;
  for (const notice of notices) notice.hidden = notice.dataset.connection !== name;
}

/** Return the milliseconds to wait before the next attempt: doubling, with jitter, so that a restart is not met by everyone at once. */
function delay() {
  if (openedAt !== null && performance.now() - openedAt > STEADY_MS) attempts = 0;
  openedAt = null;
  const longest = Math.min(LONGEST_DELAY_MS, 500 * 2 ** attempts++);
  return longest * (0.5 + Math.random() / 2);
}

/** Ask the page's own address whether there is anything to come back to: a refused handshake does not tell. */
async function askPage() {
  const answer = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (answer?.type === "opaqueredirect") end("signed-out");
  if (answer?.status === 404) end("gone");
}

function end(name) {
  ended = true;
  show(name);
}

htmx.config.wsReconnectDelay = delay;

document.addEventListener("htmx:wsOpen", () => {
  openedAt = performance.now();
  ended = false;
  show(null);
});

document.addEventListener("htmx:wsClose", ({ detail }) => {
  if (ended) return;
  askPage();
  pending ??= setTimeout(show, QUIET_MS, "lost");
  if (!RETRIED_BY_HTMX.includes(detail.event.code)) setTimeout(detail.socketWrapper.reconnect, delay());
});
