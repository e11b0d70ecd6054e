// Tells where an answer stands, at its boundaries only: to assistive technology, which reads out no streamed text by itself,
// and in the tab's title, to whoever has gone to another tab meanwhile.

const announcer = document.getElementById("announcer");
const title = () => document.title.replace(/^(?:… |Answer (?:ready|ended) · )/, ""); // as it is by now

document.addEventListener("message:status", ({ detail: { to, said } }) => {
  announcer.textContent = said;
  if (!document.hidden || to === "queued") return;
  const mark = { thinking: "… ", answering: "… ", complete: "Answer ready · " }[to] ?? "Answer ended · ";
  document.title = mark + title();
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) document.title = title(); });
