"""Read a conversation of ChatGPT's data export.

`mapping` is a tree of nodes by id. One answer is often several nodes in a row: thoughts, tool calls, their results
and text. They become one message; what tools were called with and returned is left out.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from conversations.importing.items import NotImportable
from conversations.importing.parsed import (
    MESSAGES,
    TEXT_CHARACTERS,
    Node,
    Parsed,
    generation,
    identifier,
    mapping,
    moment,
    sequence,
    text,
)
from conversations.importing.tree import arrange
from conversations.importing.walk import walk
from conversations.models import Role, Source

PARTS = 1_000_000  # that are joined into answers: branches share parts
NODES_PER_MESSAGE = 5  # as many as are accepted on average
# References to sources are between private-use characters.
REFERENCE = re.compile("\ue200[^\ue200\ue201]*\ue201")
NOT_SHOWN = {"model_editable_context", "user_editable_context", "reasoning_recap", "system_error"}


@dataclass(slots=True)
class _Answer:
    """A part of an answer, which continues `before`. `key` is that of the message, once there is one."""

    before: "_Answer | None"
    question: str | None
    content: str = ""
    reasoning: str = ""
    model: str = ""
    created_at: datetime | None = None
    index: int = 0  # among the messages
    key: str = ""


def is_chatgpt(record: dict[str, Any]) -> bool:
    return isinstance(record.get("mapping"), dict)


def read(record: dict[str, Any]) -> Parsed:
    """Return the conversation of an export. Raises `NotImportable`."""
    reader = _Reader(record)
    reader.read()
    arrange(reader.parsed)
    return reader.parsed


class _Reader:
    def __init__(self, record: dict[str, Any]) -> None:
        self._record = record
        self._nodes: dict[str, Any] = record["mapping"]
        # Where the conversation is after each node: in an answer that may go on, after a question, or at its start.
        self._at: dict[str | None, _Answer | str | None] = {None: None}
        self._characters = self._parts = 0
        self._indexes: dict[str, int] = {}  # of messages by key
        self.parsed = Parsed(
            Source.CHATGPT,
            identifier(record.get("conversation_id")) or identifier(record.get("id")),
            text(record.get("title")),
            [],
            created_at=moment(record.get("create_time")),
            updated_at=moment(record.get("update_time")),
            archived=record.get("is_archived") is True,
        )

    def read(self) -> None:
        if len(self._nodes) > MESSAGES * NODES_PER_MESSAGE:
            raise NotImportable(f"It has more than {MESSAGES:,} messages.")
        parents = {key: mapping(node).get("parent") for key, node in self._nodes.items()}
        order = {key: mapping(node).get("children") for key, node in self._nodes.items()}
        has_children = set()
        for index, (key, parent) in enumerate(walk(parents, order, self.parsed.omitted)):
            message = mapping(mapping(self._nodes[key]).get("message"))
            self._at[key] = self._follow(key, index, self._at[parent], message)
            if self._at[key] is not self._at[parent]:
                has_children.add(id(self._at[parent]))
        for at in self._at.values():  # answers that end a branch
            if isinstance(at, _Answer) and id(at) not in has_children:
                self._finish(at)
        current = self._at.get(identifier(self._record.get("current_node")) or None)
        self.parsed.leaf = self._finish(current) if isinstance(current, _Answer) else current
        self.parsed.nodes.sort(key=lambda node: self._indexes[node.key])

    def _follow(self, key: str, index: int, at: _Answer | str | None, message: dict[str, Any]) -> _Answer | str | None:
        """Return where the conversation is after a message, which is added if it is a question."""
        author = mapping(message.get("author")).get("role")
        if author not in Role.values or mapping(message.get("metadata")).get("is_visually_hidden_from_conversation"):
            if author == "tool":
                self.parsed.omitted["tool results"] += 1
            return at
        kind, said, thought = self._content(mapping(message.get("content")))
        created_at = moment(message.get("create_time"))
        if author == Role.USER:
            if kind in NOT_SHOWN or not (said or thought):
                return at
            question = Node(identifier(key), self._finish(at) if isinstance(at, _Answer) else at, Role.USER, said)
            question.created_at = created_at
            self.parsed.nodes.append(question)
            self._indexes[question.key] = index
            return question.key
        if message.get("recipient") not in (None, "all"):
            self.parsed.omitted["tool calls"] += 1
            return at
        if not said and not thought:
            return at
        before = at if isinstance(at, _Answer) else None
        model = text(mapping(message.get("metadata")).get("model_slug"))
        question_key = before.question if before else at if isinstance(at, str) else None
        return _Answer(before, question_key, REFERENCE.sub("", said), thought, model, created_at, index)

    def _content(self, content: dict[str, Any]) -> tuple[str, str, str]:
        """Return the kind of a content, its text, and the reasoning in it."""
        kind = str(content.get("content_type"))[:40]
        if kind == "thoughts":
            thoughts = [mapping(each) for each in sequence(content.get("thoughts"))]
            parts = [text(each.get(name)) for each in thoughts for name in ("summary", "content")]
            return kind, "", "\n\n".join(filter(None, parts))
        if kind in NOT_SHOWN:
            return kind, "", ""
        said = [text(content.get("text"))]
        for part in sequence(content.get("parts")):
            if isinstance(part, str):
                said.append(text(part))
            elif transcript := text(mapping(part).get("text")):
                said.append(transcript)
            else:
                self.parsed.omitted["images and other files"] += 1
        return kind, "\n\n".join(filter(None, said)), ""

    def _finish(self, answer: _Answer) -> str:
        """Add the message of an answer that ends here, unless it is there already; return its key."""
        if answer.key:
            return answer.key
        parts, at = [], answer
        while at.before:
            parts.append(at)
            at = at.before
        parts = [at, *reversed(parts)]
        self._parts += len(parts)
        content = "\n\n".join(filter(None, (part.content for part in parts)))
        reasoning = "\n\n".join(filter(None, (part.reasoning for part in parts)))
        self._characters += len(content) + len(reasoning)
        if max(len(content), len(reasoning)) > TEXT_CHARACTERS or self._characters > 10 * TEXT_CHARACTERS:
            raise NotImportable("Its answers are too long.")
        if self._parts > PARTS:
            raise NotImportable("Its answers have too many branches.")
        answer.key = f"answer {len(self.parsed.nodes)}"
        node = Node(answer.key, answer.question, Role.ASSISTANT, content, reasoning, answer.created_at)
        if model := next((part.model for part in reversed(parts) if part.model), ""):
            node.generations = [generation(model, answer.created_at)]
        self.parsed.nodes.append(node)
        self._indexes[node.key] = answer.index
        return answer.key
