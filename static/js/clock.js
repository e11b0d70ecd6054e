// Counts the seconds in every [data-clock] on from its data-elapsed, the seconds that had passed when it was rendered.

const startedAt = new WeakMap();

function tick() {
  const now = performance.now();
  for (const clock of document.querySelectorAll("[data-clock]")) {
    if (!startedAt.has(clock)) startedAt.set(clock, now - Number(clock.dataset.elapsed) * 1000);
    const text = `${Math.floor((now - startedAt.get(clock)) / 1000)} s`;
    if (clock.textContent !== text) clock.textContent = text;
  }
}

tick();
setInterval(tick, 250);
