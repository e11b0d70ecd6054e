// Highlights the words of `?find=`, with which search links to a message, in the message that the address names. Escape
// removes the highlights.

const url = new URL(location.href);
const words = url.searchParams.get("find")?.split(/\s+/).filter(Boolean) ?? [];
const text = document.getElementById(location.hash.slice(1))?.querySelector("[id^=answer-]"); // before :target matches

/** Return a range for each occurrence of a word in `root`, also across elements in the middle of a word. */
function rangesIn(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes = []; // with where each starts in `whole`
  let whole = "";
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest("math, button")) continue;
    nodes.push([node, whole.length]);
    whole += node.data;
  }
  const place = (offset, isEnd) => {
    const [node, start] = nodes.findLast(([, start]) => (isEnd ? start < offset : start <= offset));
    return [node, offset - start];
  };
  const escaped = words.sort((a, b) => b.length - a.length).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return Array.from(whole.matchAll(new RegExp(escaped.join("|"), "giu")), ({ 0: { length }, index }) => {
    const range = new Range();
    range.setStart(...place(index, false));
    range.setEnd(...place(index + length, true));
    return range;
  });
}

if (words.length && text && globalThis.Highlight) {
  CSS.highlights.set("found", new Highlight(...rangesIn(text)));
  document.addEventListener("keydown", ({ key, target }) => {
    if (key !== "Escape" || target.closest("dialog, [popover]")) return;
    CSS.highlights.delete("found");
    url.searchParams.delete("find");
    history.replaceState(history.state, "", url);
  });
}
