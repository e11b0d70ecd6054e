// Control (on a Mac: Command) and a letter press the control that carries data-shortcut with that letter.

const mac = /^(Mac|iP)/.test(navigator.platform);

if (mac) {
  for (const key of document.querySelectorAll("[data-shortcut] kbd")) key.textContent = key.textContent.replace("Ctrl ", "⌘");
}

document.addEventListener("keydown", (event) => {
  if (!(mac ? event.metaKey : event.ctrlKey) || event.shiftKey || event.altKey || event.isComposing) return;
  const control = document.querySelector(`[data-shortcut="${CSS.escape(event.key.toLowerCase())}"]`);
  if (!control) return;
  event.preventDefault();
  control.click();
});
