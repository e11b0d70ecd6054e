"""Live text of a generation that another process runs, from what that process committed."""

import asyncio
import logging
import weakref

from channels.db import database_sync_to_async
from django.db import DatabaseError

from conversations.generation.live import LiveText
from conversations.inference.tags import Delta
from conversations.models import Chunk, Generation, Kind, Status
from conversations.models.generation import RUNNING

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0  # the commits it reads come once a second
_tasks: set[asyncio.Task[None]] = set()


def ensure_fed(live: LiveText) -> None:
    """Feed this text from the database until it ends, unless its runner is here or a mirror runs already."""
    if not live.is_fed:
        live.is_fed = True
        task = asyncio.get_running_loop().create_task(_follow(weakref.ref(live), live.generation_id))
        _tasks.add(task)
        task.add_done_callback(_tasks.discard)


async def _follow(reference: "weakref.ref[LiveText]", generation_id: int) -> None:
    """Poll as long as somebody in this process holds the text."""
    sequence = -1
    while (live := reference()) is not None and not live.ended:
        try:
            generation, chunks = await database_sync_to_async(_read, thread_sensitive=False)(generation_id, sequence)
        except DatabaseError as error:
            logger.info("a live view waits for the database: %s", type(error).__name__)
        else:
            if live.has_runner:
                return
            if generation is None or generation.status not in (*RUNNING, Status.QUEUED):
                live.end()
                return
            if live.status == Status.QUEUED and generation.status in RUNNING:
                live.begin(generation.thinking_seconds or 0.0)
            if chunks:
                sequence = chunks[-1][0]
                live.feed([Delta(Kind(kind), text) for _, kind, text in chunks])
        del live  # else this frame would keep it alive through the sleep
        await asyncio.sleep(POLL_SECONDS)


def _read(generation_id: int, after: int) -> tuple[Generation | None, list[tuple[int, str, str]]]:
    generation = Generation.objects.filter(pk=generation_id).first()
    chunks = Chunk.objects.filter(generation=generation_id, sequence__gt=after).order_by("sequence")
    return generation, list(chunks.values_list("sequence", "kind", "text"))
