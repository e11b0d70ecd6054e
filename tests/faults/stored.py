"""The stored text of each prompt's answer, compared with what the model sent."""

from typing import NamedTuple

from tests.faults.endless_model import EndlessModel
from tests.site import Site

UNSTORED_SECONDS = 1.5  # text that was sent longer ago than this must be stored


class Text(NamedTuple):
    """The stored text of an answer: its message's, and the committed chunks of a running generation."""

    status: str
    reasoning: str
    answer: str


def texts(site: Site) -> dict[str, Text]:
    """Return the stored text of every answer by its prompt."""
    rows = site.rows(
        "select asked.content, g.status, m.reasoning, m.content, c.kind, c.text from conversations_generation g"
        " join conversations_message m on m.id = g.message_id"
        " join conversations_message asked on asked.id = m.parent_id"
        " left join conversations_chunk c on c.generation_id = g.id order by g.id, c.sequence"
    )
    found: dict[str, Text] = {}
    for prompt, status, reasoning, content, kind, piece in rows:
        text = found.get(prompt) or Text(status, reasoning, content)
        if kind == "reasoning":
            text = text._replace(reasoning=text.reasoning + piece)
        elif kind == "answer":
            text = text._replace(answer=text.answer + piece)
        found[prompt] = text
    return found


def assert_stored(found: dict[str, Text], model: EndlessModel, until: float) -> None:
    """Check that everything sent `UNSTORED_SECONDS` before `until` is stored, and nothing that was not sent."""
    for prompt, text in found.items():
        sent = model.sent(prompt)
        for kind, there in (("reasoning", text.reasoning), ("answer", text.answer)):
            assert there.startswith(sent.text(kind, until - UNSTORED_SECONDS))
            assert sent.text(kind).startswith(there)
