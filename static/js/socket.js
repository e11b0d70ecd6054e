// Reconnects after every close, and when nothing has been received for so long that the connection must be dead. Shows a
// notice if that takes longer than a few seconds.

const RETRIED_BY_HTMX = [1006, 1011, 1012, 1013]; // close codes after which the htmx extension reconnects by itself
const REPLACED = 4429; // the close code when newer pages of the same person have taken this one's place
const NOTICE_DELAY_MS = 3000;
const STABLE_MS = 10000; // a connection that lasted this long resets the backoff
const MAX_DELAY_MS = 10000;
const TIMEOUT_MS = 40000; // the server sends a frame every 15 s at least
const ACTIVE_TIMEOUT_MS = 20000; // when the tab becomes visible or a prompt is sent
const CHECK_INTERVAL_MS = 5000;
const MAX_SHOWN = 300; // ids that the address of the socket may have

const notices = document.querySelectorAll("[data-connection]");
let attempts = 0;
let openedAt = null;
let noticeTimer = null;
let unshown = false; // a prompt was sent, and nothing was received since
let ended = ""; // the notice that says why not to reconnect
let socket = null;
let wrapper = null; // the htmx extension's, which can reconnect
let receivedAt = Date.now(); // performance.now() stops on some machines while they sleep

function show(name) {
  clearTimeout(noticeTimer);
  noticeTimer = null;
  for (const notice of notices) notice.hidden = notice.dataset.connection !== name;
}

/** Return the milliseconds until the next attempt: exponential backoff with jitter, so that clients do not all return at once. */
function backoff() {
  if (openedAt !== null && performance.now() - openedAt > STABLE_MS) attempts = 0;
  openedAt = null;
  const delay = Math.min(MAX_DELAY_MS, 500 * 2 ** attempts++);
  return delay * (0.5 + Math.random() / 2);
}

/** Find out from the page's own address whether to reconnect: a rejected handshake does not give a reason. */
async function checkPage() {
  const response = await fetch(location.href, { method: "HEAD", redirect: "manual" }).catch(() => null);
  if (response?.type === "opaqueredirect") end("signed-out");
  if (response?.status === 404) end("gone");
  if (response?.ok && unshown) location.reload();
}

function end(name) {
  ended = name;
  show(name);
}

function onDisconnect() {
  noticeTimer ??= setTimeout(show, NOTICE_DELAY_MS, "lost");
  // The text on the page stays. It is now as old as what is stored.
  for (const mark of document.querySelectorAll("[data-source]")) mark.dataset.source = "storage";
}

/** Reconnect if nothing was received for `timeout` ms: after sleep or a change of network a dead socket stays open. */
function reconnectIfSilent(timeout) {
  if (ended || !wrapper || Date.now() - receivedAt < timeout) return;
  receivedAt = Date.now();
  socket.onclose = null; // its close event may come a minute later, and htmx would reconnect again
  socket.close();
  onDisconnect();
  wrapper.reconnect();
}

/** Add the ids of the messages that came after those that the address names, for the server to remove what no longer belongs there. */
function withShown(address) {
  const url = new URL(address);
  const shown = [...document.querySelectorAll("#messages > article.message")].map(({ id }) => id.slice("message-".length));
  const at = shown.indexOf(url.searchParams.get("seen"));
  const isWhole = (at >= 0 || !url.searchParams.has("seen")) && shown.length - at <= MAX_SHOWN;
  if (isWhole) url.searchParams.set("shown", shown.slice(at + 1).join("."));
  else url.searchParams.set("seen", "0"); // the server sends the page's last messages again
  return url.href;
}

const create = htmx.createWebSocket;
htmx.createWebSocket = (url) => (socket = create(withShown(url)));
htmx.config.wsReconnectDelay = backoff;

setInterval(reconnectIfSilent, CHECK_INTERVAL_MS, TIMEOUT_MS);
addEventListener("online", () => reconnectIfSilent(0));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  if (ended !== "replaced") return reconnectIfSilent(ACTIVE_TIMEOUT_MS);
  ended = "";
  wrapper.reconnect();
});
document.addEventListener("htmx:wsBeforeMessage", () => {
  receivedAt = Date.now();
  unshown = false;
});

// The socket sends the prompt and its answer. Without a socket, reload the page.
document.addEventListener("prompt:sent", () => {
  unshown = true;
  if (socket.readyState === WebSocket.CLOSED) location.reload();
  else reconnectIfSilent(ACTIVE_TIMEOUT_MS);
});

document.addEventListener("htmx:wsOpen", ({ detail }) => {
  wrapper = detail.socketWrapper;
  receivedAt = Date.now();
  openedAt = performance.now();
  ended = "";
  show(null);
  for (const mark of document.querySelectorAll(".listed-state")) mark.textContent = ""; // the server sends them again
});

document.addEventListener("htmx:wsClose", ({ detail }) => {
  if (ended || detail.event.target !== socket) return; // a socket that was followed by another
  onDisconnect();
  if (detail.event.code === REPLACED) return end("replaced"); // until the page is looked at: else pages would replace each other
  checkPage();
  if (!RETRIED_BY_HTMX.includes(detail.event.code)) setTimeout(detail.socketWrapper.reconnect, backoff());
});
