"""From state to HTML: the context of `_message.html`, and the frames that a socket sends.

A frame is one websocket message: HTML elements that htmx swaps out of band by their ids.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import mark_safe

from conversations.models import Conversation, Generation, Message, Role, Status
from conversations.models.generation import total_thinking_seconds
from conversations.models.message import PAGE_CHARACTERS
from conversations.models.words import count_words
from conversations.rendering import continuation_marks, find, outcomes, patches, pool, timeline
from conversations.rendering.files import FileState, file_states
from conversations.rendering.timeline import Timeline

# Approximate size of a frame, in characters of text. Viewers who join late or lag catch up in frames of this size.
FRAME_CHARACTERS = 32_000
PAGE = 30  # messages shown at first, and added with each step back
PAGE_BYTES = 1_000_000  # of what is rendered of their texts
EXCERPT = 2_000  # characters that are shown of a text for which a page has no room


@dataclass(frozen=True, slots=True)
class Version:
    """Which version of a message is shown, from 1, and the ids of the versions before and after it, if any."""

    number: int
    total: int
    previous: int | None
    next: int | None


class Room:
    """What is left of `PAGE_BYTES` on a page, for its newest message first."""

    def __init__(self) -> None:
        self._left = PAGE_BYTES

    def has_space(self, characters: int) -> bool:
        """Return whether a text of this length may fit. If it has not fit, no older text does: rendering costs."""
        return self._left > 0 and characters <= PAGE_CHARACTERS

    def take(self, html: str) -> bool:
        self._left -= len(html.encode())
        return self._left >= 0


@dataclass(slots=True)
class State:
    """What `_message.html` shows of a message, as `state`."""

    status: str
    activity: str = outcomes.THINKING
    queue_position: int | None = None  # from 1
    reasoning: str = ""
    reasoning_url: str = ""  # of the page that has the reasoning, once it is complete
    reasoning_words: int = 0
    thinking_seconds: int | None = None
    content: str = ""  # of a prompt
    files: Sequence[FileState] = ()
    answer_html: str = ""  # of a prompt only if words in it are marked
    whole_url: str = ""  # of the page that has all of the prompt or answer, if only its beginning is shown
    notice: str = ""
    announcement: str = ""  # for screen readers, when the message reaches this state
    tone: str = ""
    actions: Sequence[outcomes.Action] = ()
    made_by: str = ""
    statistics: str = ""
    ended_at: datetime | None = None
    rating: str = ""
    version: Version | None = None
    is_live: bool = False
    readonly: bool = False
    timeline: Timeline | None = None
    read_url: str = ""  # of the page to read the thought, if this person may
    context_starts_here: bool = False  # the model no longer gets the messages above


def id_prefix(message_id: int) -> str:
    """Return the prefix that makes the ids inside a message's HTML unique on a page."""
    return f"m{message_id}"


def state_of(
    message: Message,
    *,
    with_text: bool = True,
    readonly: bool = False,
    room: Room | None = None,
    queue_position: int | None = None,
) -> State:
    """Return the state of a message. `with_text=False` leaves out a live message's text, which its cursor will send.

    If `room` has none left, only the beginning of the text is shown, with a link to all of it.
    """
    if message.role == Role.USER:
        shown, url = _fit_prompt(message, room)
        files, version = file_states(message.files), _version(message)
        return State("sent", content=shown, files=files, whole_url=url, version=version, readonly=readonly)
    generation = message.generation or Generation(status=Status.COMPLETE)
    words = 0 if generation.is_live else message.reasoning_word_count
    reasoning, content = "", message.content
    if generation.is_live:
        reasoning, content = message.current_text() if with_text else ("", "")
    has_reasoning_page = bool(words)
    if reasoning and room and not (room.has_space(len(reasoning)) and room.take(reasoning)):
        words, reasoning, has_reasoning_page = count_words(reasoning), "", True
    html, whole_url = _fit_answer(message, content, room)
    seconds = (
        generation.thinking_seconds if generation.status == Status.THINKING else total_thinking_seconds(message.parts)
    )
    notice = outcomes.notice(generation, message)
    activity = outcomes.activity(generation)
    url = f"{message.path}reasoning/" if has_reasoning_page else ""
    return State(
        status=generation.status,
        activity=activity,
        queue_position=queue_position,
        reasoning=reasoning,
        reasoning_url=url,
        read_url="" if generation.is_live else url,
        timeline=timeline.of_text(reasoning, generation.status)
        if generation.is_live
        else timeline.of_message(message, seconds),
        reasoning_words=words or count_words(reasoning),
        thinking_seconds=None if seconds is None else round(seconds),
        answer_html=mark_safe(html),  # noqa: S308  (sanitised)
        whole_url=whole_url,
        notice=notice,
        announcement=outcomes.announcement(generation.status, activity, notice, content),
        tone=outcomes.tone(generation, message),
        actions=() if readonly else outcomes.actions(generation, message),
        made_by=outcomes.imported_by(message)
        if message.is_imported
        else outcomes.made_by(generation, has_versions=len(getattr(message, "versions", ())) > 1),
        statistics=outcomes.statistics(message.parts),
        ended_at=generation.finished_at or (None if generation.is_live else message.created_at),
        rating=getattr(message, "rating", None) or "",
        version=_version(message),
        is_live=generation.is_live,
        readonly=readonly,
    )


def _fit_prompt(message: Message, room: Room | None) -> tuple[str, str]:
    """Return a prompt's text and "", or its beginning and the URL of all of it."""
    content = message.content
    if room is None or len(content) <= EXCERPT or (room.has_space(len(content)) and room.take(content)):
        return content, ""
    return f"{content[:EXCERPT]}…", f"{message.path}whole/"


def _fit_answer(message: Message, content: str, room: Room | None) -> tuple[str, str]:
    """Return an answer's HTML and "", or that of its beginning and the URL of all of it."""
    if room is None or len(content) <= EXCERPT or room.has_space(len(content)):
        html = answer_html(message, content)
        if room is None or room.take(html) or len(content) <= EXCERPT:
            return html, ""
    return answer_html(message, f"{content[:EXCERPT]}…"), f"{message.path}whole/"


def answer_html(message: Message, content: str) -> str:
    """Return `content`, an answer or its beginning, as safe HTML with marks where it was continued."""
    continued_at = [offset for offset in message.continuation_offsets if offset < len(content)]
    return pool.render(continuation_marks.insert(content, continued_at), id_prefix(message.pk))


def _version(message: Message) -> Version | None:
    versions = getattr(message, "versions", [])
    if len(versions) < 2:
        return None
    index = versions.index(message.pk)
    return Version(
        number=index + 1,
        total=len(versions),
        previous=versions[index - 1] if index else None,
        next=versions[index + 1] if index + 1 < len(versions) else None,
    )


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
