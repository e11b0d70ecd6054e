// Tells in the tab's title how an answer stands, for whoever has gone to another tab meanwhile.

const title = document.title;

document.addEventListener("message:status", ({ detail }) => {
  if (!document.hidden) return;
  if (detail.to === "thinking" || detail.to === "answering") document.title = `… ${title}`;
  else if (detail.to !== "queued") document.title = `${detail.to === "complete" ? "Answer ready" : "Answer ended"} · ${title}`;
});

document.addEventListener("visibilitychange", () => { if (!document.hidden) document.title = title; });
