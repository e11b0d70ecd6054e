"""Run the site: pages, sockets and the generation worker in one process."""

import asyncio
import gc
import logging
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection

from chatsite import tracing
from chatsite.identity import identity
from chatsite.supervision import supervisor
from conversations import actions, file_cleanup
from conversations.archives import builder
from conversations.events import Topic, bus
from conversations.generation.worker import GenerationWorker
from conversations.inference.endpoint import OpenModels, open_models
from conversations.models import Site
from conversations.models.access import missing_groups
from conversations.rendering import pool
from conversations.rounds import repeat
from conversations.session_monitor import monitor
from conversations.storage import StorageError, claim_storage
from conversations.threads import run_in_thread

logger = logging.getLogger(__name__)

SWITCH_SECONDS = 0.0005
SOCKET_CLOSE_SECONDS = 0.5  # for browsers to receive the close frame, after which they reconnect
CHECKPOINT_MILLISECONDS = 1000  # to wait for other users of the database


class Command(BaseCommand):
    help = __doc__
    requires_system_checks = "__all__"

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=settings.PORT)

    def handle(self, *args, host: str, port: int, **options) -> None:
        # Imported late, because Daphne installs a reactor, which no other command needs.
        from chatsite.asgi import application
        from chatsite.server import Server

        if is_port_in_use(host, port):
            raise CommandError(f"Port {port} is already in use on {host}. Set PORT to another one.")
        use_storage()
        self.models: OpenModels | None = None
        self.worker: GenerationWorker | None = None
        self.loops: list[asyncio.Task[None]] = []
        server = Server(application, host=host, port=port, start=self.start, stop=self.stop)
        supervisor.on_death = server.fail
        server.run()
        if server.failed:
            sys.exit(1)

    async def start(self, server: Any) -> None:
        # The event loop releases the GIL at every read and write. To get it back it waits for one switch interval, by
        # default 5 ms, for each database thread that is ready to run.
        sys.setswitchinterval(SWITCH_SECONDS)
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(settings.STREAM_THREADS))
        bus.start(await run_in_thread(_redis_prefix) if settings.REDIS_URL else "")
        self.loops.append(supervisor.start("sessions", monitor.run()))
        self.loops.append(supervisor.start("delete files", repeat("files", file_cleanup.clean_up)))
        self.loops.append(supervisor.start("purge", repeat("deleted conversations", actions.purge)))
        tracing.start()
        self.loops.append(supervisor.start("archives", builder.run()))
        self.models = await open_models()
        for group in await run_in_thread(missing_groups):
            logger.warning("the models name the group %r, which does not exist, so nobody is in it", group)
        for endpoint in self.models.endpoints:
            if endpoint.local_model:
                self.loops.append(supervisor.start("embedded model", endpoint.local_model.keep_running()))
        self.worker = GenerationWorker(self.models)
        await self.worker.start()
        _tune_garbage_collection()
        host, port = server.listening_addresses[0]
        ids = list(self.models.by_id)
        self.stdout.write(f"Model{'s' if len(ids) > 1 else ''}: {', '.join(ids) or 'none connected (see README.md)'}")
        self.stdout.write(f"{settings.SITE_NAME} is running at http://{host}:{port} (Ctrl-C to stop)")
        self.stdout.flush()  # containers have a pipe, which is buffered

    async def stop(self) -> None:
        if self.worker:
            seconds = settings.DRAIN_SECONDS
            if supervisor.dead:  # perhaps the heartbeat's loop: other processes then soon take over the answers
                seconds = min(seconds, settings.DEAD_SECONDS / 2)
            await self.worker.drain(seconds)
        bus.publish(Topic.DRAINING)
        await asyncio.sleep(SOCKET_CLOSE_SECONDS)
        await bus.close()
        for loop in self.loops:
            loop.cancel()
        await asyncio.gather(*self.loops, return_exceptions=True)
        if self.models:
            await self.models.close()
        identity.close()
        pool.close()
        await run_in_thread(tracing.close)
        try:
            await run_in_thread(checkpoint)
        except DatabaseError as error:
            logger.warning("the write-ahead log was not emptied: %s", type(error).__name__)


def use_storage() -> None:
    """Make sure that the storage is the site's, before anything else is started. Raises `CommandError`."""
    try:
        claim_storage()
    except StorageError as error:
        reason = f"STORAGE_URL: the site cannot use this storage: {error}. See docs/operations.md."
        raise CommandError(reason) from error
    except DatabaseError:
        logger.exception("the site could not start")
        sys.exit(1)
    finally:
        connection.close()


def checkpoint() -> None:
    """Write SQLite's write-ahead log into the database file, which then is complete without it.

    Other connections keep SQLite from doing that by itself when this process ends. Nothing happens if another process
    is using the database.
    """
    if connection.vendor == "sqlite":
        with connection.cursor() as cursor:
            cursor.execute(f"PRAGMA busy_timeout = {CHECKPOINT_MILLISECONDS}")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _redis_prefix() -> str:
    return Site.objects.get().redis_prefix


def _tune_garbage_collection() -> None:
    """Have the garbage collector skip what the start has loaded, and find soon what requests and sockets leave.

    What was loaded is permanent, and would take a twentieth of a busy server's time. What is in use during a collection
    waits for a later one of an older generation. If that comes late, it takes tens of megabytes and a long pause.
    """
    gc.collect()
    gc.freeze()
    gc.collect()  # the oldest generation is collected when it has grown by a quarter: now, from nothing
    gc.set_threshold(20_000, 10, 10)


def is_port_in_use(host: str, port: int) -> bool:
    """Return whether another process listens there. Checked before a model is loaded in vain."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False
