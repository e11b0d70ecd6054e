// Popovers open and close without a script. This adds what browsers do not do: moving the focus, and hiding the sidebar on wide
// screens, which this device remembers in a cookie: so the next page has it hidden from the start.

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

const sidebar = document.getElementById("sidebar");
const [hide, show] = ["hide-sidebar", "show-sidebar"].map((id) => document.getElementById(id));

// On a wide screen the sidebar is a column instead of a popover.
wide.addEventListener("change", () => {
  if (sidebar.matches(":popover-open")) sidebar.hidePopover();
});

for (const button of [hide, show]) {
  button.addEventListener("click", (event) => {
    if (!wide.matches) return;
    event.preventDefault();
    const { activeElement } = document;
    const hidden = document.body.toggleAttribute("data-sidebar-hidden");
    const secure = location.protocol === "https:" ? "; secure" : "";
    document.cookie = `sidebar=hidden; path=/; max-age=${hidden ? 31536000 : 0}; samesite=lax${secure}`;
    if (hidden && sidebar.contains(activeElement)) show.focus();
    if (!hidden && activeElement === show) hide.focus();
  });
}
