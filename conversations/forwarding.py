"""Send a page what it does not show: changes of its conversation, and live texts while they grow."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from conversations.generation import mirror
from conversations.generation.live import Cursor, LiveText, Source, gather_seconds
from conversations.page_state import Difference, PageState, ShownMessage
from conversations.rendering import fragments

HEARTBEAT_SECONDS = 15.0  # a page reconnects when nothing arrives for much longer
CATCHING_UP = "behind"  # shown instead of the source until the page has all of the text so far


class Outbox(Protocol):
    """What is sent to one client."""

    def send(self, text: str) -> None: ...

    async def drained(self) -> bool:
        """Wait until the client has read most of what was sent; return whether that took any waiting."""
        ...


async def forward_page(
    page: PageState,
    difference: Difference,
    next_difference: Callable[[], Awaitable[Difference]],
    outbox: Outbox,
    tasks: asyncio.TaskGroup,
) -> None:
    """Send `difference` and all later ones. Ends with an exception of `next_difference`."""
    tasks.create_task(_send_heartbeats(outbox))
    forwarders: dict[ShownMessage, asyncio.Task[None]] = {}
    while True:
        frames, texts = page.apply(difference), page.live_texts
        for message in forwarders.keys() - texts.keys():
            forwarders.pop(message).cancel()
        for frame in frames:
            await _send(frame, outbox)
        for message in texts.keys() - forwarders.keys():
            forwarders[message] = tasks.create_task(_forward_message(message, texts[message], page, outbox))
        difference = await next_difference()


async def _forward_message(message: ShownMessage, live: LiveText, page: PageState, outbox: Outbox) -> None:
    await forward_text(live, outbox)
    message.delivered = True
    page.changed.set()  # the database has the outcome


async def forward_text(live: LiveText, outbox: Outbox) -> None:
    """Send frames of a live text until it ends."""
    mirror.ensure_fed(live)
    cursor, shown_source = Cursor(), Source.STORAGE.value  # as in the article's HTML
    while True:
        version, ended = live.version, live.ended
        is_late = await outbox.drained()
        frames, cursor = live.frames_since(cursor)
        is_behind = live.is_behind(cursor)
        for frame in frames:
            await _send(frame, outbox)
        source = CATCHING_UP if is_behind or is_late else live.source.value
        if source != shown_source:
            shown_source = source
            await _send(fragments.source_mark(live.message_id, source), outbox)
        if is_behind:
            await asyncio.sleep(0)
        elif ended:
            return
        else:
            if frames and not live.has_runner:  # a runner gathers deltas before it feeds them
                await asyncio.sleep(gather_seconds(live.tail_characters))
            await live.wait_for_change(version)


async def _send_heartbeats(outbox: Outbox) -> None:
    while True:
        await asyncio.sleep(HEARTBEAT_SECONDS)
        await _send("", outbox)


async def _send(frame: str, outbox: Outbox) -> None:
    await outbox.drained()
    outbox.send(frame)
