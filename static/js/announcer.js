// Tells where an answer stands, at its boundaries only: to assistive technology, which reads out no streamed text by itself,
// and in the tab's title, to whoever has gone to another tab meanwhile. That title follows the conversation's.

const announcer = document.getElementById("announcer");
const heading = document.getElementById("title");
const show = (mark) => { document.title = `${mark}${heading.textContent} · ${document.title.split(" · ").pop()}`; };

document.addEventListener("message:status", ({ detail: { to, announcement } }) => {
  announcer.textContent = announcement;
  if (document.hidden && to !== "queued") show({ thinking: "… ", answering: "… ", complete: "Answer ready · " }[to] ?? "Answer ended · ");
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) show(""); });
new MutationObserver(() => show("")).observe(heading, { childList: true });
