"""Background work in rounds. Every round can be repeated, so a process that dies leaves nothing undone for long."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from django.db import Error

from chatsite.outages import describe, is_outage
from conversations.storage import StorageError
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

ROUND_SECONDS = 2.0


async def repeat(what: str, do_round: Callable[..., Any], *args: Any) -> None:
    """Call `do_round` in a thread, at once and then every `ROUND_SECONDS`, until cancelled. `what` is for the log.

    An outage of the database or of the storage is retried; other errors are raised.
    """
    failed = False
    while True:
        try:
            await run_in_thread(do_round, *args)
            failed = False
        except StorageError as error:
            if not failed:  # once, not in each round
                logger.error("%s: the storage failed, retrying: %s", what, error)
            failed = True
        except Error as error:
            if not is_outage(error):
                raise
            logger.warning("%s: no database, retrying: %s", what, describe(error))
        await asyncio.sleep(ROUND_SECONDS)
