"""Read a conversation that Open WebUI has exported: https://github.com/open-webui/open-webui.

`chat.history.messages` are a tree by id; old exports only have the list `chat.messages`. Reasoning is in the content,
as a quotation in `<details type="reasoning">`.
"""

import html
import re
from typing import Any

from conversations.importing.items import NotImportable
from conversations.importing.parsed import (
    MESSAGES,
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

START, END = '<details type="reasoning"', "</details>"
SUMMARY = re.compile(r"\s*<summary>[^<]{0,200}</summary>")
QUOTED = re.compile(r"^(?:&gt;|>) ?", re.MULTILINE)


def is_open_webui(record: dict[str, Any]) -> bool:
    return isinstance(record.get("chat"), dict)


def read(record: dict[str, Any]) -> Parsed:
    """Return the conversation of an export. Raises `NotImportable`."""
    chat = record["chat"]
    history = mapping(chat.get("history"))
    messages = mapping(history.get("messages")) or _listed(sequence(chat.get("messages")))
    if len(messages) > MESSAGES:
        raise NotImportable(f"It has more than {MESSAGES:,} messages.")
    parsed = Parsed(
        Source.OPEN_WEBUI,
        identifier(record.get("id")) or identifier(chat.get("id")),
        text(record.get("title")) or text(chat.get("title")),
        [],
        leaf=identifier(history.get("currentId")) or None,
        created_at=moment(record.get("created_at")),
        updated_at=moment(record.get("updated_at")),
        archived=record.get("archived") is True,
    )
    parents = {key: mapping(message).get("parentId") for key, message in messages.items()}
    order = {key: mapping(message).get("childrenIds") for key, message in messages.items()}
    shown: dict[str, str | None] = {}  # the last message at or before each that is imported
    for key, parent in walk(parents, order, parsed.omitted):
        before = shown.get(parent) if parent is not None else None
        node = _node(key, before, mapping(messages[key]), parsed)
        shown[key] = node.key if node else before
        if node:
            parsed.nodes.append(node)
    parsed.leaf = shown.get(parsed.leaf or "")
    arrange(parsed)
    return parsed


def _node(key: str, parent: str | None, message: dict[str, Any], parsed: Parsed) -> Node | None:
    role = message.get("role")
    if role not in Role.values:
        parsed.omitted["system messages"] += 1
        return None
    if files := sequence(message.get("files")):
        parsed.omitted["files"] += len(files)
    content, created_at = text(message.get("content")), moment(message.get("timestamp"))
    node = Node(identifier(key), parent, role, content, created_at=created_at)
    if role == Role.ASSISTANT:
        node.reasoning, node.content = split_reasoning(content)
        node.reasoning = node.reasoning or text(message.get("reasoning_content"))
        if model := text(message.get("model")):
            node.generations = [generation(model, created_at)]
    return node


def split_reasoning(content: str) -> tuple[str, str]:
    """Return the reasoning in an answer, and the rest of it. Takes time in proportion to its length."""
    reasoning, rest, at = [], [], 0
    while (start := content.find(START, at)) >= 0:
        opened, end = content.find(">", start), content.find(END, start)
        if opened < 0 or end < opened:
            break
        rest.append(content[at:start])
        quotation = SUMMARY.sub("", content[opened + 1 : end], count=1).strip("\n")
        reasoning.append(html.unescape(QUOTED.sub("", quotation)).strip())
        at = end + len(END)
    if not reasoning:
        return "", content
    rest.append(content[at:])
    return "\n\n".join(filter(None, reasoning)), "".join(rest).strip("\n")


def _listed(messages: list[Any]) -> dict[str, Any]:
    """Return a list of messages as a tree without branches."""
    keys = [str(number) for number in range(len(messages))]
    return {
        key: mapping(message) | {"parentId": before, "childrenIds": []}
        for key, before, message in zip(keys, [None, *keys], messages, strict=False)
    }
