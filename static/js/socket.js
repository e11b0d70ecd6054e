// Reconnects after every close, and says so quietly when it takes longer than a moment.

const SIGNED_OUT = 4401;
const GONE = 4404;
const RETRIED_BY_HTMX = [1006, 1011, 1012, 1013]; // the extension reconnects after these alone
const QUIET_MS = 3000;
const STEADY_MS = 10000; // a connection that lasted this long clears the count of attempts
const LONGEST_DELAY_MS = 10000;

const notices = document.querySelectorAll("[data-connection]");
let attempts = 0;
let openedAt = null;
let pending = null;

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

htmx.config.wsReconnectDelay = delay;

document.addEventListener("htmx:wsOpen", () => {
  openedAt = performance.now();
  show(null);
});

document.addEventListener("htmx:wsClose", ({ detail }) => {
  const { code } = detail.event;
  if (code === SIGNED_OUT) return show("signed-out");
  if (code === GONE) return show("gone");
  pending ??= setTimeout(show, QUIET_MS, "lost");
  if (!RETRIED_BY_HTMX.includes(code)) setTimeout(detail.socketWrapper.reconnect, delay());
});
