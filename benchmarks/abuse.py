"""Measure how much one user at every limit slows another one down: `python -m benchmarks.abuse`.

One user loads pages of costly answers, opens sockets and sends questions, all as fast as the site allows. Another loads
a page of theirs, before, meanwhile and afterwards. It uses loopback only and ends after some ten seconds.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp

from benchmarks.measure import LOAD_CORE, SERVER_CORE, on_core, percentile
from benchmarks.servers import StartedSite
from tests.conftest import connection
from tests.endpoint import Endpoint, Exchange
from tests.faults.abuser import Abuser
from tests.ports import unused_port
from tests.services import PostgreSQL
from tests.site import Person, Site, migrate, people

PAUSE_SECONDS = 0.02  # between two pages of the user who is measured
WARM_UP = 20  # pages
# Conversations of the first two users: eight answers of 198,000 characters each, and eight ordinary ones.
MAKE_CONVERSATIONS = """
from conversations.models import Conversation, Generation, Message, User
texts = "```\\nx\\n```\\n" * 19_800, "Some **bold** words and `code`.\\n\\n- a list\\n- of two\\n\\n" * 20
for user, text in zip(User.objects.order_by("pk")[:2], texts):
    conversation, parent = Conversation.objects.create(owner=user, title="Why?"), None
    for _ in range(8):
        parent = Message.objects.create(conversation=conversation, parent=parent, role="user", content="Why?")
        parent = Message.objects.create(
            conversation=conversation, parent=parent, role="assistant", content=text, reasoning_words=0
        )
        Generation.objects.create(message=parent, conversation=conversation, owner=user, status="complete")
    Conversation.objects.filter(pk=conversation.pk).update(leaf=parent)
    print(conversation.get_absolute_url())
"""


async def never_end(exchange: Exchange) -> None:
    await exchange.reason("Hm. ")
    await exchange.gate("never")


async def load(person: Person, conversation: str, number: int) -> list[float]:
    """Load a page so many times; return how long each took, in milliseconds."""
    cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in person.http.cookies.items())}
    took = []
    async with aiohttp.ClientSession(person.site.url, headers=cookies, cookie_jar=aiohttp.DummyCookieJar()) as http:
        for _ in range(number):
            started = time.monotonic()
            async with http.get(conversation) as response:
                await response.read()
                response.raise_for_status()
            took.append(1000 * (time.monotonic() - started))
            await asyncio.sleep(PAUSE_SECONDS)
    return took


async def measure(site: Site, number: int) -> None:
    abusive, other = people(site, 2)
    costly, ordinary = site.manage("shell", "--no-imports", "--command", MAKE_CONVERSATIONS).stdout.split()
    await load(other, ordinary, WARM_UP)
    before = await load(other, ordinary, number)
    async with Abuser(abusive, costly) as abuser:
        await load(other, ordinary, WARM_UP)
        meanwhile = await load(other, ordinary, number)
    idle = before + await load(other, ordinary, number)
    for percent in (50, 95):
        alone, beside = (percentile(took, percent) or 0.0 for took in (idle, meanwhile))
        print(f"p{percent}: {alone:.1f} ms idle, {beside:.1f} ms beside one at every limit, {beside / alone:.2f} times")
    print("responses to the user at every limit:", {kind: dict(found) for kind, found in abuser.statuses.items()})


@contextmanager
def migrated(database: str) -> Iterator[str]:
    """Yield the URL of a new migrated database."""
    if database == "sqlite":
        with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
            url = f"sqlite:///{folder}/db.sqlite3"
            migrate(url)
            yield url
        return
    server = PostgreSQL(unused_port())
    try:
        url = server.create_database()
        migrate(url)
        yield url
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.abuse", description=__doc__)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite", help="database (sqlite)")
    parser.add_argument("--pages", type=int, default=100, help="measured pages in each part (100)")
    arguments = parser.parse_args()
    endpoint = Endpoint()
    endpoint.respond = never_end
    try:
        with on_core(LOAD_CORE), migrated(arguments.database) as url:
            with on_core(SERVER_CORE):
                site = StartedSite(url, **connection(endpoint))
            try:
                asyncio.run(measure(site, arguments.pages))
            finally:
                site.kill()
    finally:
        endpoint.close()


if __name__ == "__main__":
    main()
