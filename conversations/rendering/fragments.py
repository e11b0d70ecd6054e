"""From state to HTML: what `_message.html` needs to know, and the frames a socket sends.

A frame is one websocket message: HTML elements that htmx swaps out of band by their ids.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe

from conversations.models import Conversation, Generation, Message, Role, Status
from conversations.models.generation import thought_seconds
from conversations.models.words import count_words
from conversations.rendering import continuation_marks, outcomes, patches, pool

# Characters of text in one frame, about. A viewer who joins late or lags is brought to now in frames of this size.
FRAME_CHARACTERS = 32_000
PAGE = 30  # messages that a page shows at first, and more with each step back


@dataclass(frozen=True, slots=True)
class Version:
    """Which of a turn's versions is shown, from 1, and the messages before and after it (None at the ends)."""

    number: int
    total: int
    previous: int | None
    next: int | None


@dataclass(slots=True)
class State:
    """What a message shows beside its text; the context of `_message.html` as `state`."""

    status: str
    doing: str = outcomes.THINKING
    place: int | None = None  # in line, from 1, while queued
    reasoning: str = ""
    reasoning_url: str = ""  # where it is read instead, once it has ended
    reasoning_words: int = 0
    thinking_seconds: int | None = None
    answer_html: str = ""
    tail_html: str = ""
    notice: str = ""
    said: str = ""  # to who listens instead of looking, when it comes to this state
    tone: str = ""
    actions: Sequence[outcomes.Action] = field(default_factory=list)
    figures: str = ""
    ended_at: datetime | None = None
    rating: str = ""
    version: "Version | None" = None
    is_live: bool = False
    readonly: bool = False


def prefix(message_id: int) -> str:
    """Return what makes the ids inside one message's rendering unique on a page."""
    return f"m{message_id}"


def state_of(message: Message, *, with_text: bool = True, readonly: bool = False) -> State:
    """Return the state of a message.

    `with_text=False` leaves a live message's text out, for a viewer whose cursor will bring it.
    """
    if message.role == Role.USER:
        return State(status="sent", version=_version(message), readonly=readonly)
    generation = message.generation or Generation(status=Status.COMPLETE)
    words = 0 if generation.is_live else message.thought_words
    reasoning, content = "", message.content
    if generation.is_live:
        reasoning, content = message.text_so_far() if with_text else ("", "")
    went_on_at = [join for join in message.joins if join < len(content)]
    seconds = generation.thinking_seconds if generation.status == Status.THINKING else thought_seconds(message.parts)
    notice = "" if generation.is_live else outcomes.notice(generation, message)
    doing = outcomes.doing(generation)
    return State(
        status=generation.status,
        doing=doing,
        place=_place(generation) if with_text else None,
        reasoning=reasoning,
        reasoning_url=reverse("reasoning", args=[message.pk]) if words else "",
        reasoning_words=words or count_words(reasoning),
        thinking_seconds=None if seconds is None else round(seconds),
        answer_html=mark_safe(pool.render(continuation_marks.insert(content, went_on_at), prefix(message.pk))),  # noqa: S308  (sanitised last)
        notice=notice,
        said=outcomes.said(generation.status, doing, notice, content),
        tone=outcomes.tone(generation, message),
        actions=outcomes.actions(generation, message),
        figures=outcomes.figures(message.parts),
        ended_at=generation.finished_at or (None if generation.is_live else message.created_at),
        rating=getattr(message, "rating", None) or "",
        version=_version(message),
        is_live=generation.is_live,
        readonly=readonly,
    )


def _place(generation: Generation) -> int | None:
    return Generation.objects.places().get(generation.pk) if generation.status == Status.QUEUED else None


def _version(message: Message) -> Version | None:
    versions = getattr(message, "versions", [])
    if len(versions) < 2:
        return None
    at = versions.index(message.pk)
    return Version(at + 1, len(versions), versions[at - 1] if at else None, (versions[at + 1 :] or [None])[0])


def entries(thread: Sequence[Message], *, readonly: bool = False) -> list[tuple[Message, State]]:
    """Return what the page lists: each message with its state, the place marked where the model's memory begins."""
    starts = next((m.generation.context_start_id for m in reversed(thread) if m.generation), None)
    for message in thread:
        message.context_starts_here = message.pk == starts
    return [(message, state_of(message, readonly=readonly)) for message in thread]


def earlier(conversation_id: object, before: int) -> str:
    """Return the link to what stands before the message `before`, in whose place it is loaded."""
    return render_to_string("conversations/_earlier.html", {"pk": conversation_id, "before": before})


def article(message: Message, state: State) -> str:
    return render_to_string("conversations/_message.html", {"message": message, "state": state})


def replace(target: str, html: str) -> str:
    return f'<div id="{target}" hx-swap-oob="innerHTML">{html}</div>'


def append(target: str, html: str) -> str:
    """Return the element that appends to `target`; rows parse only inside a table's body."""
    tag = "tbody" if html.startswith("<tr") else "div"
    return f'<{tag} id="{target}" hx-swap-oob="beforeend">{html}</{tag}>'


def title(text: str) -> str:
    """Return the heading of a page whose conversation was renamed."""
    return replace("title", escape(text))


def listed(conversation: Conversation, own: Conversation, *, at_top: bool) -> str:
    """Return the parts that show how `conversation` stands in the list beside `own`, in its place or moved to the top.

    `running` tells whether an answer waits or runs in it.
    """
    pk = conversation.pk
    if at_top:
        entry = render_to_string("conversations/_listed.html", {"item": conversation, "conversation": own})
        return f'<ul id="listed-today" hx-swap-oob="afterbegin">{entry}</ul>'
    state = render_to_string("conversations/_listed_state.html") if conversation.running else ""
    return replace(f"listed-title-{pk}", escape(conversation.title)) + replace(f"listed-state-{pk}", state)


def remove(target: str) -> str:
    return f'<div id="{target}" hx-swap-oob="delete"></div>'


def frames(parts: Sequence[str]) -> list[str]:
    """Join parts into few frames of bounded size, as far as parts allow it.

    A table's body cannot be parsed beside other elements, so it goes alone.
    """
    joined: list[str] = []
    full = True
    for part in parts:
        if part.startswith("<tbody") or full or len(joined[-1]) + len(part) > 2 * FRAME_CHARACTERS:
            joined.append(part)
        else:
            joined[-1] += part
        full = part.startswith("<tbody")
    return joined


def progress(
    message_id: int,
    generation_id: int,
    status: str,
    place: int | None,
    notice: str,
    doing: str,
    seconds: float | None,
    reasoning: str,
) -> str:
    """Return phase and status lines of a message that is being generated."""
    state = State(
        status=status,
        doing=doing,
        actions=outcomes.live_actions(generation_id, status, doing),
        place=place,
        notice=notice,
        said=outcomes.said(status, doing, notice),
        tone="warn" if notice else "",
        reasoning_words=count_words(reasoning) if status != Status.THINKING else 0,
        thinking_seconds=None if seconds is None else round(seconds),
        is_live=True,
    )
    return lines(Message(pk=message_id), state)


def lines(message: Message, state: State) -> str:
    """Return the phase line and the status line, to be swapped by their ids."""
    context = {"message": message, "state": state, "oob": True}
    return "".join(render_to_string(f"conversations/{name}.html", context) for name in ("_phase", "_status"))


def feed(message_id: int, source: str) -> str:
    """Return the small mark that tells where a live message's text comes from."""
    return render_to_string("conversations/_feed.html", {"pk": message_id, "source": source, "oob": True})


def composer_actions(live_generation: int | None) -> str:
    """Return the composer's buttons: Stop beside Send while an answer runs."""
    return render_to_string("conversations/_composer_actions.html", {"live_generation": live_generation, "oob": True})


def edit_error(message_id: int, sentence: str) -> str:
    return replace(f"edit-error-{message_id}", escape(sentence))


def composer_error(sentence: str) -> str:
    return render_to_string("conversations/_composer_error.html", {"composer_error": sentence, "oob": True})


def _repair(target: str, repair: patches.Patch) -> str:
    swap = f'hx-swap-oob="{repair.swap}:#{target}{escape(repair.selector)}"'
    if repair.swap == "outerHTML":
        return re.sub(r"^<[a-z0-9]+", rf"\g<0> {swap}", repair.html)
    return f"<div {swap}>{repair.html}</div>"


def ending(message: Message, reasoning_sent: str, html_sent: str) -> list[str]:
    """Return the parts that show how a message ended, and of its final text what differs from what was sent.

    A viewer's pane keeps the reasoning it was sent, which a page that is loaded now leaves to be read on demand.
    """
    state = state_of(message)
    reasoning = message.reasoning if state.reasoning_words else ""
    pk = message.pk
    parts = [lines(message, state)]
    if state.answer_html != html_sent:
        parts += [_repair(f"settled-{pk}", part) for part in patches.diff(html_sent, state.answer_html)]
    if reasoning != reasoning_sent:
        parts.append(replace(f"reasoning-{pk}", ""))
        for at in range(0, len(reasoning), FRAME_CHARACTERS):
            more = reasoning[at : at + FRAME_CHARACTERS]
            parts.append(append(f"reasoning-{pk}", escape(more)))
    return parts
