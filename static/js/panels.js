// Popovers open and close without a script. This adds what browsers do not do: moving the focus.

const wide = matchMedia("(width >= 52rem)");

for (const panel of document.querySelectorAll("[popover]")) {
  panel.addEventListener("toggle", (event) => {
    if (event.newState === "open") panel.querySelector("summary, a, button, input:not([type=hidden])").focus();
  });

  // Tabbing out of a panel closes it. Otherwise the panel would cover the focused element.
  panel.addEventListener("focusout", ({ relatedTarget }) => {
    if (relatedTarget && !panel.contains(relatedTarget) && panel.matches(":popover-open")) panel.hidePopover();
  });
}

// On a wide screen the sidebar is a column instead of a popover.
wide.addEventListener("change", () => {
  const sidebar = document.getElementById("sidebar");
  if (sidebar.matches(":popover-open")) sidebar.hidePopover();
});
