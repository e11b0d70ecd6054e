// Tells assistive technology where an answer stands, at its boundaries only: streamed text is never read out by itself.

const announcer = document.getElementById("announcer");
const words = new Intl.Segmenter(undefined, { granularity: "word" });

function countWords(text) {
  let count = 0;
  for (const segment of words.segment(text)) if (segment.isWordLike) count += 1;
  return count;
}

document.addEventListener("message:status", ({ target, detail }) => {
  // The frame that brings the status may bring the last words too; count when it has been swapped in whole.
  setTimeout(() => { announcer.textContent = sentence(target, detail); });
});

function sentence(article, { to, notice }) {
  if (to === "thinking") return article.querySelector(".phase b").textContent; // or that it goes on
  if (to === "answering") return "Answering";
  if (to !== "complete") return notice;
  const count = countWords(article.querySelector("[id^=answer-]").textContent);
  return `Answer complete, ${count} ${count === 1 ? "word" : "words"}`;
}
