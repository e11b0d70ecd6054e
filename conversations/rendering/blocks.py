"""The outline of Markdown source: its top-level blocks, their direct children, and where each begins and ends."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from pyromark import Markdown, Options
from pyromark.event import Event

from conversations.rendering.mathematics import ProtectedSource, protect

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

    `start` and `end` are byte offsets in the protected source; `value` is the value of its start tag.
    """

    name: str
    value: Any
    start: int
    end: int
    events: list[Event] = field(default_factory=list)
    children: list["Node"] = field(default_factory=list)


class Outline:
    """The blocks of `text`, which must be normalised. With `streaming`, more text will follow."""

    def __init__(self, text: str, *, streaming: bool) -> None:
        self.source: ProtectedSource = protect(text, streaming=streaming)
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
        """Return the character offset, as `offset` does, of the line that contains `byte`."""
        return self.offset(self._bytes.rfind(b"\n", 0, byte) + 1)

    def offset(self, byte: int) -> int:
        """Return the character offset in the original text of `byte` in the protected source."""
        return self._original_length(0, byte)

    def is_blank_after(self, byte: int) -> bool:
        """Return whether a complete, blank line begins at `byte`."""
        end = self._bytes.find(b"\n", byte)
        return end >= 0 and not self._bytes[byte:end].strip()

    def text_spans(self, block: Node) -> list[tuple[int, int]]:
        """Return the character offsets in the original text of the text directly in `block`."""
        spans: list[tuple[int, int]] = []
        byte = offset = 0
        for child in block.children:
            if child.name == "Text":
                start = offset + self._original_length(byte, child.start)
                byte, offset = child.end, start + self._original_length(child.start, child.end)
                spans.append((start, offset))
        return spans

    def _original_length(self, start: int, end: int) -> int:
        return len(self.source.restore(self._bytes[start:end].decode()))

    @cached_property
    def _bytes(self) -> bytes:
        return self.source.text.encode()


def unpack(item: str | Mapping[str, object]) -> tuple[str, Any]:
    """Return the name and value of an event or a tag, which pyromark writes as "Name" or {"Name": value}."""
    return (item, None) if isinstance(item, str) else next(iter(item.items()))


def events_of(nodes: Iterable[Node]) -> list[Event]:
    """Return the events of all `nodes`, in order."""
    return [event for node in nodes for event in node.events]


def _node(event: Event, start: int, end: int) -> Node:
    name, value = unpack(event)
    if name == "Start":
        name, value = unpack(value)
    return Node(name, value, start, end)
