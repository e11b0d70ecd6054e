// Updates running times, in the server's format: every [data-clock], which starts at its data-elapsed (seconds, when it was
// rendered).

const startedAt = new WeakMap();

/** Whole seconds as the server writes them: "12 s", "5 min 12 s". */
function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function tick() {
  const now = performance.now();
  for (const clock of document.querySelectorAll("[data-clock]")) {
    if (!startedAt.has(clock)) startedAt.set(clock, now - Number(clock.dataset.elapsed) * 1000);
    const text = duration(Math.floor((now - startedAt.get(clock)) / 1000));
    if (clock.textContent !== text) clock.textContent = text;
  }
}

tick();
setInterval(tick, 250);
