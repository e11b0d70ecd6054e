// Reconnects after every close, and after a silence that only a dead connection explains; says so quietly when it takes
// longer than a moment.

const RETRIED_BY_HTMX = [1006, 1011, 1012, 1013]; // the extension reconnects after these alone
const QUIET_MS = 3000;
const STEADY_MS = 10000; // a connection that lasted this long clears the count of attempts
const LONGEST_DELAY_MS = 10000;
const SILENT_MS = 40000; // the server says something every 15 s at least
const WOKEN_SILENT_MS = 20000; // a tab that is looked at again need not wait that long
const LOOK_MS = 5000;

const notices = document.querySelectorAll("[data-connection]");
let attempts = 0;
let openedAt = null;
let pending = null;
let ended = false; // there is nothing to come back to
let socket = null;
let handle = null; // the extension's, to reconnect by
let heardAt = Date.now(); // not performance.now(), which stands still while some machines sleep

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

function lose() {
  pending ??= setTimeout(show, QUIET_MS, "lost");
  // What is shown stays, and from now on it is only what was stored.
  for (const mark of document.querySelectorAll("[data-source]")) mark.dataset.source = "storage";
}

/** Connect anew if nothing was heard for `silence` ms: sleep and a changed network close no socket, they leave it mute. */
function renew(silence) {
  if (ended || !handle || Date.now() - heardAt < silence) return;
  heardAt = Date.now();
  socket.onclose = null; // it may close in a minute, when htmx would connect once more
  socket.close();
  lose();
  handle.reconnect();
}

const create = htmx.createWebSocket;
htmx.createWebSocket = (url) => (socket = create(url));
htmx.config.wsReconnectDelay = delay;

setInterval(renew, LOOK_MS, SILENT_MS);
addEventListener("online", () => renew(0));
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(WOKEN_SILENT_MS); });
document.addEventListener("htmx:wsBeforeMessage", () => { heardAt = Date.now(); });

// The socket brings what was asked, and its answer. Without one the page does.
document.addEventListener("prompt:sent", () => {
  if (socket.readyState === WebSocket.CLOSED) location.reload();
  else renew(WOKEN_SILENT_MS);
});

document.addEventListener("htmx:wsOpen", ({ detail }) => {
  handle = detail.socketWrapper;
  heardAt = Date.now();
  openedAt = performance.now();
  ended = false;
  show(null);
  for (const mark of document.querySelectorAll(".listed-state")) mark.textContent = ""; // the server tells anew
});

document.addEventListener("htmx:wsClose", ({ detail }) => {
  if (ended || detail.event.target !== socket) return; // one that was left for another
  askPage();
  lose();
  if (!RETRIED_BY_HTMX.includes(detail.event.code)) setTimeout(detail.socketWrapper.reconnect, delay());
});
