"""What the pages of a share show of its messages."""

import uuid
from collections.abc import Sequence
from dataclasses import replace

from django.utils.html import escape

from conversations.models import Message
from conversations.rendering.files import FileState, file_states
from conversations.rendering.message_state import Room, State, state_of


def entries(messages: Sequence[Message], url: str, *, whole: bool = False) -> list[tuple[Message, State]]:
    """Return the messages of a page of the share at `url`, each with its state.

    What there is no room for is on a page of its own; with `whole`, all is shown.
    """
    room = None if whole else Room()
    found = [(message, _state(message, url, room)) for message in reversed(messages)]
    return found[::-1]


def _state(message: Message, url: str, room: Room | None) -> State:
    state = state_of(message, readonly=True, room=room)
    state.timeline, state.read_url, state.statistics, state.reasoning_url = None, "", "", ""
    page = f"{url}messages/{message.pk}/"
    if state.whole_url:
        state.whole_url = page
    if reasoning := message.reasoning:
        if room is None or (room.has_space(len(reasoning)) and room.take(escape(reasoning))):
            state.reasoning = reasoning
        else:
            state.reasoning_url = page
    state.files = [_without_preview(file) for file in file_states(message.files, lambda *of: _file_url(url, *of))]
    return state


def _file_url(url: str, name: str, pk: uuid.UUID) -> str:
    return f"{url}files/{pk}/picture/" if name == "attachment_picture" else f"{url}files/{pk}/"


def _without_preview(file: FileState) -> FileState:
    return replace(file, preview_url=file.picture_url or file.url)
