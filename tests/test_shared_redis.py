"""Sites that share a Redis server never hear each other, also with equal row ids, or as a copy of one another."""

import asyncio
import re
import shutil
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis

from conversations.events import EventBus, Scope, Topic
from conversations.models import Site as StoredSite
from tests.endpoint import Endpoint, Exchange
from tests.services import Redis
from tests.site import PASSWORD, WAIT, Person, Site, manage
from tests.upgrade.stored import execute, with_password

SECRET = "the secret words"


def test_the_prefix_depends_on_the_site_and_on_its_key(settings):
    site, other = StoredSite(), StoredSite()
    prefix = site.redis_prefix
    assert re.fullmatch(r"[0-9a-f]{32}\.", prefix)
    assert StoredSite(uuid=site.uuid).redis_prefix == prefix
    assert other.redis_prefix != prefix
    settings.SECRET_KEY = "another" * 8
    assert site.redis_prefix != prefix


@pytest.mark.redis
async def test_every_event_reaches_the_replicas_of_its_site_and_no_other_site(redis_server: Redis, settings):
    settings.REDIS_HOST = redis_server.url
    heard: dict[EventBus, list[Any]] = {}
    arrived = asyncio.Event()

    def replica(prefix: str) -> EventBus:
        bus = EventBus()
        heard[bus] = []

        def note(payload: Any) -> None:
            heard[bus].append(payload)
            arrived.set()

        for topic in Topic:
            bus.subscribe(topic, note, "subject" if topic.by_subject else None)
        bus.start(prefix)
        return bus

    async def await_payload(bus: EventBus, payload: str) -> None:
        async with asyncio.timeout(WAIT):
            while payload not in heard[bus]:
                arrived.clear()
                await arrived.wait()

    one, its_replica, other, others_replica = (replica(prefix) for prefix in ("one.", "one.", "other.", "other."))
    for here, there in ((one, its_replica), (other, others_replica)):
        while not heard[there]:  # until it has subscribed
            here.publish(Topic.STOP_REQUESTED, "hello")
            await asyncio.sleep(0.01)
    cluster = [topic for topic in Topic if topic.scope is Scope.CLUSTER]
    for topic in cluster:
        one.publish(topic, "subject", topic.name)
    for topic in cluster:
        await await_payload(its_replica, topic.name)
    # Redis delivers in order, so what came before this has arrived.
    other.publish(Topic.STOP_REQUESTED, "last")
    await await_payload(others_replica, "last")
    assert {*heard[other], *heard[others_replica]} == {"hello", "last"}
    for bus in heard:
        await bus.close()


class Listener:
    """Reads everything that is published on a Redis server."""

    def __init__(self, client: redis.Redis) -> None:
        self.names: set[str] = set()
        self._client = client
        self._subscription = client.pubsub(ignore_subscribe_messages=True)
        self._subscription.psubscribe("*")
        self._subscription.get_message(timeout=WAIT)

    def read_until(self, *parts: bytes) -> tuple[str, bytes, bytes]:
        """Read up to a message with all these parts; return its channel, its content and that of all before it."""
        deadline, before = time.monotonic() + WAIT, b""
        while time.monotonic() < deadline:
            if message := self._subscription.get_message(timeout=1):
                name, data = message["channel"].decode(), message["data"]
                self.names.add(name)
                if all(part in data for part in parts):
                    return name, data, before
                before += data
        raise TimeoutError(f"no message with {parts}")

    def close(self) -> None:
        self._subscription.close()


async def respond(exchange: Exchange) -> None:
    """Send the secret to the site that asks for it, and nothing to another; wait at the gate named like the prompt."""
    prompt = exchange.body["messages"][-1]["content"]
    if prompt.startswith("Secret"):
        await exchange.answer(SECRET)
    await exchange.gate(prompt)
    await exchange.answer(" and the end.")
    await exchange.finish()


@pytest.mark.redis
def test_a_site_beside_another_with_equal_row_ids_and_beside_a_copy_of_itself(
    make_site: Callable[..., Site],
    database_template: Path,
    redis_server: Redis,
    endpoint: Endpoint,
    tmp_path: Path,
):
    endpoint.respond = respond
    site = make_site(REDIS_URL=redis_server.url)
    person = Person(site, "ada")
    copy, another = tmp_path / "copy.sqlite3", tmp_path / "another.sqlite3"
    with closing(sqlite3.connect(site.database_url.removeprefix("sqlite:///"))) as here:
        here.execute("vacuum into ?", [str(copy)])
    shutil.copy(database_template, another)
    execute(f"sqlite:///{another}", "update conversations_site set uuid = '00000000000000000000000000000000'")
    with redis.Redis.from_url(redis_server.url) as client, closing(Listener(client)) as listener:
        secrets = [person.ask(f"Secret {number}") for number in (1, 2)]
        for number in (1, 2):
            endpoint.await_reached(f"Secret {number}")
        group, _, _ = listener.read_until(b"queued")
        for prompt, database, key in (("Another", another, "k" * 50), ("Copy", copy, "c" * 50)):
            # A copy has no files yet.
            adopted = manage("check_files", "--adopt", DATABASE_URL=f"sqlite:///{database}", SECRET_KEY=key)
            assert adopted.returncode == 0, adopted.stderr
            other = make_site(f"sqlite:///{database}", SECRET_KEY=key, REDIS_URL=redis_server.url)
            stranger = Person(other, "ada") if database == another else with_password(other, "ada", PASSWORD)
            conversation = stranger.ask(prompt)
            endpoint.await_reached(prompt)
            stranger.ask("Wait", conversation)
            # The second question, which waits, has the id of the second secret.
            assert other.rows("select id, status from conversations_generation order by id")[1] == (2, "queued")
            with stranger.socket(conversation) as socket:
                _, _, before = listener.read_until(b"watch", b"generation")
                _, request, after = listener.read_until(b"watch", b"generation")  # a second later
                assert SECRET.encode() not in before + after
                stranger.post("/generations/2/stop/")
                listener.read_until(b"stop")
                frames = ""
                while 'data-status="stopped"' not in frames:
                    frames += socket.recv(timeout=WAIT)
                assert SECRET not in frames
            # Only the names keep the secret: a request at this site's own address gets it.
            client.publish(group, request)
            listener.read_until(b"said.2", SECRET.encode())
            endpoint.open(prompt)
            stranger.await_end(conversation)
            assert other.stop() == 0
            stranger.close()
        prefixes = {name.partition(".")[0] for name in listener.names}
        assert len(prefixes) == 3
        assert all(re.fullmatch("[0-9a-f]{32}", prefix) for prefix in prefixes)
    for number, secret in enumerate(secrets, 1):
        endpoint.open(f"Secret {number}")
        assert person.await_end(secret) == [("complete", "", "", f"{SECRET} and the end.")]
    person.close()
