"""Connections to Redis that show tokens, as the channel layer has redis-py make them."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool
from redis.asyncio import Redis as Client
from redis.exceptions import ConnectionError as RedisAway

from chatsite.identity import REDIS, identity
from chatsite.keyless import redis_host
from tests.cloud import AzureRedis, Cloud, make_certificate
from tests.conftest import unused_port
from tests.services import Redis

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path, cloud: Cloud) -> Iterator[Redis]:
    """A Redis that speaks TLS and knows the cloud's tokens."""
    certificate = tmp_path / "redis.pem"
    certificate.write_text(make_certificate("127.0.0.1"))
    server = Redis(unused_port(), certificate)
    cloud.redis = AzureRedis(server, cloud.object_id)
    yield server
    cloud.redis.close()
    server.stop()


@pytest.fixture
async def client(server: Redis) -> AsyncIterator[Client]:
    async with ConnectionPool(**redis_host(server.url)) as pool, Client(connection_pool=pool) as client:
        yield client


async def renew(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the identity get a new token before its time, and the old one be refused."""
    old = await identity.atoken(REDIS)
    monkeypatch.setattr(identity, "_clock", lambda: time.time() + 0.6 * cloud.seconds)
    while await identity.atoken(REDIS) is old:
        pass
    cloud.redis.refuse([old.text])


def shown_again(cloud: Cloud) -> int:
    """Return how often somebody authenticated who was connected already: the greeting is another command."""
    return cloud.redis.admin.info("commandstats").get("cmdstat_auth", {"calls": 0})["calls"]


async def test_the_identity_is_the_user_and_its_token_the_password(client: Client, cloud: Cloud):
    assert await client.acl_whoami() == cloud.object_id.encode()


async def test_a_server_whose_certificate_nobody_vouches_for_is_shown_no_token(server: Redis, cloud: Cloud):
    async with ConnectionPool(**redis_host(server.url.partition("?")[0])) as pool:
        with pytest.raises(RedisAway, match="certificate verify failed"):
            await Client(connection_pool=pool).ping()
    assert not cloud.issued


async def test_a_publisher_shows_a_newer_token_on_the_connection_it_has(client: Client, cloud: Cloud, monkeypatch):
    cloud.seconds = 200
    connection, before = await client.client_id(), shown_again(cloud)
    await renew(cloud, monkeypatch)
    assert await client.client_id() == connection
    assert await client.client_id() == connection
    assert shown_again(cloud) == before + 1


async def test_a_subscriber_shows_a_newer_token_and_misses_nothing(client: Client, cloud: Cloud, monkeypatch):
    cloud.seconds = 200
    before = shown_again(cloud)
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("ours")
        await renew(cloud, monkeypatch)
        for text in (b"one", b"two"):
            await client.publish("ours", text)
        heard: list[bytes] = []
        while b"two" not in heard:
            message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=30)
            # The answer to the token comes as one to a ping, on no channel.
            heard += [message["data"]] if message and message["channel"] else []
        assert heard == [b"one", b"two"]
        assert shown_again(cloud) == before + 1


async def test_without_a_token_redis_is_away(client: Client, cloud: Cloud):
    cloud.status = 400
    with pytest.raises(RedisAway, match="no token for https://redis"):
        await client.ping()
