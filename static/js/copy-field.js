// Shows the Copy buttons of links and tokens. `data-copies` is the id of the element whose text one copies.

for (const button of document.querySelectorAll("[data-copies]")) {
  const source = document.getElementById(button.dataset.copies);
  button.hidden = false;
  button.addEventListener("click", async () => {
    if (source.select) source.select();
    else getSelection().selectAllChildren(source);
    // navigator.clipboard is missing on plain http in a local network.
    const copied = navigator.clipboard
      ? await navigator.clipboard.writeText(source.value ?? source.textContent).then(() => true, () => false)
      : document.execCommand("copy");
    button.textContent = copied ? "Copied" : "Copy failed";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}
