// Popovers open and close without us. This adds what the platform leaves out: where the focus goes.

const wide = matchMedia("(width >= 52rem)");

for (const panel of document.querySelectorAll("[popover]")) {
  panel.addEventListener("toggle", (event) => {
    if (event.newState === "open") panel.querySelector("a, button, input:not([type=hidden])").focus();
  });

  // Tabbing out of a panel closes it, or the focus would go on behind it.
  panel.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !panel.contains(relatedTarget) && panel.matches(":popover-open")) panel.hidePopover();
  });
}

// On a wide screen the sidebar is a column again.
wide.addEventListener("change", () => {
  const sidebar = document.getElementById("sidebar");
  if (sidebar.matches(":popover-open")) sidebar.hidePopover();
});
