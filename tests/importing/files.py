"""Files as other products export them, small and whole."""

import io
import json
import zipfile
from typing import Any


def chatgpt_node(key: str, parent: str | None, children: list[str], message: dict[str, Any] | None) -> dict[str, Any]:
    return {"id": key, "parent": parent, "children": children, "message": message}


def chatgpt_message(role: str, *parts: Any, kind: str = "text", **fields: Any) -> dict[str, Any]:
    content = fields.pop("content", {"content_type": kind, "parts": list(parts)})
    message = {"author": {"role": role}, "create_time": 1_700_000_000.5, "content": content, "recipient": "all"}
    return message | {"metadata": fields.pop("metadata", {})} | fields


def chatgpt() -> dict[str, Any]:
    """A conversation with a hidden system message, an answer of five nodes, and an edited question."""
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "Comparing", "content": "9.8 is 9.80."}]}
    hidden = {"is_visually_hidden_from_conversation": True}
    nodes = [
        chatgpt_node("root", None, ["system"], None),
        chatgpt_node("system", "root", ["q1", "q2"], chatgpt_message("system", "", metadata=hidden)),
        chatgpt_node("q1", "system", ["t1"], chatgpt_message("user", "Which is greater?")),
        chatgpt_node("t1", "q1", ["c1"], chatgpt_message("assistant", content=thoughts)),
        chatgpt_node("c1", "t1", ["r1"], chatgpt_message("assistant", "print(9.8)", kind="code", recipient="python")),
        chatgpt_node("r1", "c1", ["a1"], chatgpt_message("tool", "9.8", kind="execution_output")),
        chatgpt_node(
            "a1",
            "r1",
            ["q3"],
            chatgpt_message("assistant", "9.8 \ue200cite\ue202turn0\ue201is.", metadata={"model_slug": "gpt-5"}),
        ),
        chatgpt_node("q3", "a1", [], chatgpt_message("user", "Thanks.", {"content_type": "image_asset_pointer"})),
        chatgpt_node("q2", "system", ["a2"], chatgpt_message("user", "Which is smaller?")),
        chatgpt_node("a2", "q2", [], chatgpt_message("assistant", "9.11.")),
    ]
    return {
        "title": "Decimals",
        "create_time": 1_700_000_000.0,
        "update_time": 1_700_000_100.0,
        "conversation_id": "c-1",
        "current_node": "q3",
        "mapping": {node["id"]: node for node in nodes},
    }


def open_webui() -> dict[str, Any]:
    """A conversation with two answers, the first with reasoning."""
    thought = (
        '<details type="reasoning" done="true" duration="5">\n<summary>Thought for 5 seconds</summary>\n'
        "&gt; Is 9.8 &lt; 9.11?\n&gt; No.\n</details>\n9.8."
    )
    messages = {
        "m1": {"id": "m1", "parentId": None, "childrenIds": ["m2", "m3"], "role": "user", "content": "Which?"},
        "m2": {"id": "m2", "parentId": "m1", "childrenIds": [], "role": "assistant", "content": thought, "model": "r1"},
        "m3": {"id": "m3", "parentId": "m1", "childrenIds": [], "role": "assistant", "content": "9.11!"},
    }
    messages["m1"] |= {"timestamp": 1_700_000_000, "files": [{"type": "file"}]}
    chat = {"title": "Decimals", "history": {"messages": messages, "currentId": "m2"}}
    return {"id": "w-1", "title": "Decimals", "chat": chat, "created_at": 1_700_000_000, "updated_at": 1_700_000_100}


def as_json(*records: Any) -> io.BytesIO:
    return io.BytesIO(json.dumps(records).encode())


def as_zip(**entries: bytes) -> io.BytesIO:
    """Return a ZIP; `__` in a name stands for a slash, and `_dot_` for a dot."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    file.seek(0)
    return file
