// Tells assistive technology where an answer stands, at its boundaries only: streamed text is never read out by itself.

const announcer = document.getElementById("announcer");

document.addEventListener("message:status", ({ detail }) => { announcer.textContent = detail.said; });
