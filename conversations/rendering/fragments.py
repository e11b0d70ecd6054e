"""From state to HTML: the frames that a socket sends.

A frame is one websocket message: HTML elements that htmx swaps out of band by their ids.
"""

import re
from collections.abc import Sequence

from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import mark_safe

from conversations.models import Conversation, Generation, Message, Status
from conversations.rendering import find, outcomes, patches
from conversations.rendering.message_state import Room, State, state_of
from conversations.rendering.timeline import Timeline

# Approximate size of a frame, in characters of text. Viewers who join late or lag catch up in frames of this size.
FRAME_CHARACTERS = 32_000
PAGE = 30  # messages shown at first, and added with each step back


def entries(thread: Sequence[Message], *, readonly: bool = False) -> list[tuple[Message, State]]:
    """Return the messages of a page, each with its state. `readonly` pages show all of each text."""
    context_start = next((m.generation.context_start_id for m in reversed(thread) if m.generation), None)
    is_queued = any(m.generation and m.generation.status == Status.QUEUED for m in thread)
    positions = Generation.objects.queue_positions() if is_queued else {}
    found, room = [], None if readonly else Room()
    for message in reversed(thread):
        position = positions.get(message.generation.pk) if message.generation else None
        state = state_of(message, readonly=readonly, room=room, queue_position=position)
        state.context_starts_here = message.pk == context_start
        found.append((message, state))
    return found[::-1]


def mark_words(shown: Sequence[tuple[Message, State]], message_id: int | None, words: str | None) -> None:
    """Mark words in the message with this id, if it is among those of a page."""
    for message, state in shown:
        if words and message.pk == message_id:
            html, _ = find.mark(state.answer_html or escape(state.content), words)
            state.answer_html = mark_safe(html)  # noqa: S308  (sanitised)


def earlier(conversation_id: object, before: int) -> str:
    """Return the link to the messages before the message `before`, which replace the link."""
    return render_to_string("conversations/_earlier.html", {"pk": conversation_id, "before": before})


def articles(messages: Sequence[Message]) -> str:
    """Return these messages, without the text of live ones, which their cursors will send."""
    room = Room()
    found = [_article(message, state_of(message, with_text=False, room=room)) for message in reversed(messages)]
    return "".join(reversed(found))


def _article(message: Message, state: State) -> str:
    return render_to_string("conversations/_message.html", {"message": message, "state": state})


def replace(target: str, html: str) -> str:
    return f'<div id="{target}" hx-swap-oob="innerHTML">{html}</div>'


def append(target: str, html: str) -> str:
    """Return the element that appends `html` to `target`."""
    # Rows are parsed only inside a table's body.
    tag = "tbody" if html.startswith("<tr") else "div"
    return f'<{tag} id="{target}" hx-swap-oob="beforeend">{html}</{tag}>'


def title(text: str) -> str:
    """Return the heading of a page, after its conversation was renamed."""
    return replace("title", escape(text))


def placement(conversation: Conversation) -> str:
    """Return what its own page says of a conversation's place in the list."""
    return render_to_string("conversations/_placement.html", {"conversation": conversation, "oob": True})


def listed(conversation: Conversation, own: object) -> str:
    """Return a conversation's row of the list, on the page of the conversation with the id `own`.

    `conversation.is_live` is whether an answer is queued or running in it. The script of the list puts the row where it
    belongs; by itself, htmx puts it at the top.
    """
    row = render_to_string("conversations/_listed.html", {"item": conversation, "own": own})
    return f'<ul id="listed-today" hx-swap-oob="afterbegin">{row}</ul>'


def remove(target: str) -> str:
    return f'<div id="{target}" hx-swap-oob="delete"></div>'


def frames(parts: Sequence[str]) -> list[str]:
    """Join parts into few frames of limited size. A part is not split.

    A table's body cannot be parsed next to other elements, so it is a frame by itself.
    """
    joined: list[str] = []
    is_full = True
    for part in parts:
        if part.startswith("<tbody") or is_full or len(joined[-1]) + len(part) > 2 * FRAME_CHARACTERS:
            joined.append(part)
        else:
            joined[-1] += part
        is_full = part.startswith("<tbody")
    return joined


def progress(
    message_id: int,
    generation_id: int,
    status: str,
    queue_position: int | None,
    notice: str,
    activity: str,
    seconds: float | None,
    reasoning_words: int,
    thought: Timeline | None,
) -> str:
    """Return the phase and status of a message that is being generated."""
    state = State(
        status=status,
        activity=activity,
        actions=outcomes.live_actions(generation_id, status, activity),
        queue_position=queue_position,
        notice=notice,
        announcement=outcomes.announcement(status, activity, notice),
        tone="warn" if notice else "",
        reasoning_words=reasoning_words,
        timeline=thought,
        thinking_seconds=None if seconds is None else round(seconds),
        is_live=True,
    )
    return _parts_of_state(Message(pk=message_id), state)


def _parts_of_state(message: Message, state: State) -> str:
    context = {"message": message, "state": state, "oob": True}
    names = ("_phase", "_timeline", "_thought_actions", "_status")
    return "".join(render_to_string(f"conversations/{name}.html", context) for name in names)


def growing_timeline(message_id: int, status: str, thought: Timeline | None) -> str:
    """Return the timeline of a message that is being generated."""
    state = State(status=status, timeline=thought, is_live=True)
    context = {"message": Message(pk=message_id), "state": state, "oob": True}
    return render_to_string("conversations/_timeline.html", context)


def source_mark(message_id: int, source: str) -> str:
    """Return the mark that shows where a live message's text comes from."""
    return render_to_string("conversations/_source_mark.html", {"pk": message_id, "source": source, "oob": True})


def composer_actions(live_generation: int | None) -> str:
    """Return the composer's buttons: Send and, while an answer is queued or running, Stop."""
    return render_to_string("conversations/_composer_actions.html", {"live_generation": live_generation, "oob": True})


def edit_error(message_id: int, sentence: str) -> str:
    return replace(f"edit-error-{message_id}", escape(sentence))


def composer_error(sentence: str) -> str:
    return render_to_string("conversations/_composer_error.html", {"composer_error": sentence, "oob": True})


def final_parts(message: Message, reasoning_sent: str, html_sent: str) -> list[str]:
    """Return the parts that show where a message's final text differs from what was sent, and then how it ended.

    A viewer keeps all text that was sent. A page that is loaded now loads reasoning, and what is too long, on demand.
    A page whose reasoning is open replaces its text when it learns that the answer has ended.
    """
    state = state_of(message)
    reasoning = message.reasoning if state.reasoning_words else ""
    pk = message.pk
    parts = []
    if state.answer_html != html_sent:
        parts += [_patch(f"finalised-{pk}", patch) for patch in patches.diff(html_sent, state.answer_html)]
    if reasoning != reasoning_sent:
        parts.append(replace(f"reasoning-{pk}", ""))
        for start in range(0, len(reasoning), FRAME_CHARACTERS):
            parts.append(append(f"reasoning-{pk}", escape(reasoning[start : start + FRAME_CHARACTERS])))
    return [*parts, _parts_of_state(message, state)]


def _patch(target: str, patch: patches.Patch) -> str:
    swap = f'hx-swap-oob="{patch.swap}:#{target}{escape(patch.selector)}"'
    if patch.swap == "outerHTML":
        return re.sub(r"^<[a-z0-9]+", rf"\g<0> {swap}", patch.html)
    return f"<div {swap}>{patch.html}</div>"
