"""Asking the database from the event loop."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import close_old_connections

T = TypeVar("T")


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Return what `function` returns, called in one of the threads that ask the database.

    Channels' `database_sync_to_async` does the same at three times the price, which is a fifth of a short query's.
    """
    return await asyncio.get_running_loop().run_in_executor(None, _call, function, args)


def _call(function: Callable[..., T], args: tuple[Any, ...]) -> T:
    try:
        return function(*args)
    finally:
        close_old_connections()
