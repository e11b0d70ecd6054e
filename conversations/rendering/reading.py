"""A thought to be read: its steps, rendered, beside the answer."""

from dataclasses import dataclass
from typing import Any

from django.utils.safestring import SafeString, mark_safe

from conversations.models import Message
from conversations.models.generation import total_thinking_seconds
from conversations.rendering import find, markdown, message_state, outlines, pool, timeline
from conversations.rendering.outlines import ThoughtOutline


@dataclass(frozen=True, slots=True)
class RenderedStep:
    """A step as a page shows it. It started at `second` of thinking and ended at `until`, if that is known."""

    id: str
    number: int
    label: str
    kind: str
    html: SafeString
    second: int | None = None  # whole seconds
    until: int | None = None
    found: int = 0  # occurrences of what the reader looks for


def render_steps(message_id: int, reasoning: str, outline: ThoughtOutline, query: str = "") -> list[RenderedStep]:
    """Return the steps of a thought, with the words of `query` marked.

    Reasoning that is longer than Markdown may be is shown unformatted.
    """
    is_plain = len(reasoning) > markdown.MAX_CHARACTERS
    seconds = [round(step.second) if step.second is not None and outline.is_timed else None for step in outline.steps]
    rendered = []
    for number, (step, text) in enumerate(zip(outline.steps, outline.parts(reasoning), strict=True), 1):
        html = markdown.preformatted(text) if is_plain else pool.render(text, f"r{message_id}-{number}")
        html, found = find.mark(html, query)
        rendered.append(
            RenderedStep(
                id=timeline.step_id(message_id, number),
                number=number,
                label=step.label,
                kind=step.kind.value,
                html=mark_safe(html),  # noqa: S308  (sanitised)
                second=seconds[number - 1],
                until=[*seconds, None][number],
                found=found,
            )
        )
    return rendered


def page_context(message: Message, query: str = "") -> dict[str, Any]:
    """Return the context of `_reading.html`: a thought with its outline, and the answer."""
    reasoning, content = message.current_text()
    outline = outlines.load_or_build(message) or outlines.build(reasoning)
    seconds = total_thinking_seconds(message.parts)
    steps = render_steps(message.pk, reasoning, outline, query) if outline else []
    html = pool.render(content, message_state.id_prefix(message.pk))
    return {
        "message": message,
        "outline": outline,
        "steps": steps,
        "timeline": timeline.finished(message.pk, outline, seconds, url="") if outline else None,
        "thinking_seconds": None if seconds is None else round(seconds),
        "answer_html": mark_safe(html),  # noqa: S308  (sanitised)
        "query": query,
        "found": sum(step.found for step in steps),
        "found_in": [step for step in steps if step.found],
    }
