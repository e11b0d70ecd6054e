"""The context of `_message.html`: what a page shows of a message."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.utils.safestring import mark_safe

from conversations.models import Generation, Message, Role, Status
from conversations.models.generation import total_thinking_seconds
from conversations.models.message import PAGE_CHARACTERS
from conversations.models.words import count_words
from conversations.rendering import continuation_marks, outcomes, pool, timeline
from conversations.rendering.files import FileState, file_states
from conversations.rendering.timeline import Timeline

PAGE_BYTES = 1_000_000  # of what is rendered of the texts on a page
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
