// Announces changes of an answer's status: to assistive technology, which does not read out streamed text by itself, and in
// the title of a tab in the background. Also updates that title when the conversation is renamed.

const announcer = document.getElementById("announcer");
const heading = document.getElementById("title");
const setTitle = (prefix) => { document.title = `${prefix}${heading.textContent} · ${document.title.split(" · ").pop()}`; };

document.addEventListener("message:status", ({ detail: { to, announcement } }) => {
  announcer.textContent = announcement;
  if (document.hidden && to !== "queued") setTitle({ thinking: "… ", answering: "… ", complete: "Answer ready · " }[to] ?? "Answer ended · ");
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) setTitle(""); });
new MutationObserver(() => setTitle("")).observe(heading, { childList: true });
