"""The outline of Markdown source: its top-level blocks, their direct children, and where each begins and ends."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pyromark import Markdown, Options
from pyromark.event import Event

from conversations.rendering.mathematics import Protected, protect

PARSER: Final = Markdown(
    options=Options.ENABLE_TABLES
    | Options.ENABLE_TASKLISTS
    | Options.ENABLE_STRIKETHROUGH
    | Options.ENABLE_FOOTNOTES
    | Options.ENABLE_MATH
    | Options.ENABLE_GFM
)


@dataclass(slots=True)
class Node:
    """A block, or a direct child of one.

    `start` and `end` are bytes in the protected source; `value` is what its tag carries.
    """

    name: str
    value: Any
    start: int
    end: int
    events: list[Event] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)


class Outline:
    """The blocks of `text`, which is normalised. With `streaming`, more text will follow."""

    def __init__(self, text: str, *, streaming: bool) -> None:
        self.source: Protected = protect(text, streaming=streaming)
        self.blocks: list[Node] = []
        open_nodes: list[Node] = []
        depth = 0
        for event, span in PARSER.events_with_range(self.source.text, merge_text=True):
            starts, ends = ("Start" in event, "End" in event) if isinstance(event, dict) else (False, False)
            if depth < 2 and not ends:
                node = _node(event, span["start"], span["end"])
                (open_nodes[-1].children if open_nodes else self.blocks).append(node)
                if starts:
                    open_nodes.append(node)
                else:
                    node.events.append(event)
            depth += starts
            for node in open_nodes:
                node.events.append(event)
            depth -= ends
            if ends and depth < 2:
                open_nodes.pop()

    def line_start(self, byte: int) -> int:
        """Return the offset, as `offset` does, of the line that `byte` is on."""
        return self.offset(self._bytes.rfind(b"\n", 0, byte) + 1)

    def offset(self, byte: int) -> int:
        """Return the offset in the original text, in characters, of `byte` of the protected source."""
        return self._length(0, byte)

    def is_blank_after(self, byte: int) -> bool:
        """Tell whether the line that begins at `byte` is there, complete and blank."""
        end = self._bytes.find(b"\n", byte)
        return end >= 0 and not self._bytes[byte:end].strip()

    def text_spans(self, block: Node) -> list[tuple[int, int]]:
        """Return where text stands directly in `block`, in characters of the original text."""
        spans: list[tuple[int, int]] = []
        byte = offset = 0
        for child in block.children:
            if child.name == "Text":
                start = offset + self._length(byte, child.start)
                byte, offset = child.end, start + self._length(child.start, child.end)
                spans.append((start, offset))
        return spans

    def _length(self, start: int, end: int) -> int:
        return len(self.source.restore(self._bytes[start:end].decode()))

    @cached_property
    def _bytes(self) -> bytes:
        return self.source.text.encode()


def _node(event: Event, start: int, end: int) -> Node:
    if isinstance(event, str):
        return Node(event, None, start, end)
    ((kind, value),) = event.items()
    if kind != "Start":
        return Node(kind, value, start, end)
    name, carried = (value, None) if isinstance(value, str) else next(iter(value.items()))
    return Node(name, carried, start, end)
