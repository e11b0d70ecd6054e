"""Connections to Redis that authenticate with tokens, as redis-py opens them for the channel layer."""

import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import ConnectionPool
from redis.asyncio import Redis as Client
from redis.exceptions import ConnectionError as RedisConnectionError

from chatsite.identity import REDIS, identity
from chatsite.keyless import redis_host
from tests.cloud import AzureRedis, Cloud, make_certificate
from tests.ports import unused_port
from tests.services import Redis

pytestmark = pytest.mark.redis


@pytest.fixture
def server(tmp_path: Path, cloud: Cloud) -> Iterator[Redis]:
    """A Redis server with TLS that accepts the cloud's tokens."""
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


async def refresh(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the identity refresh its token early, and Redis refuse the old one."""
    old = await identity.atoken(REDIS)
    monkeypatch.setattr(identity, "_clock", lambda: time.time() + 0.6 * cloud.seconds)
    while await identity.atoken(REDIS) is old:
        pass
    cloud.redis.refuse([old.text])


def authentications(cloud: Cloud) -> int:
    """Return how many open connections authenticated again. (New ones do so with another command, HELLO.)"""
    return cloud.redis.admin.info("commandstats").get("cmdstat_auth", {"calls": 0})["calls"]


async def test_the_identity_is_the_user_and_its_token_the_password(client: Client, cloud: Cloud):
    assert await client.acl_whoami() == cloud.object_id.encode()


async def test_a_server_with_an_untrusted_certificate_gets_no_token(server: Redis, cloud: Cloud):
    async with ConnectionPool(**redis_host(server.url.partition("?")[0])) as pool:
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            await Client(connection_pool=pool).ping()
    assert not cloud.issued


async def test_a_publisher_sends_a_refreshed_token_on_its_open_connection(client: Client, cloud: Cloud, monkeypatch):
    cloud.seconds = 200
    connection, before = await client.client_id(), authentications(cloud)
    await refresh(cloud, monkeypatch)
    assert await client.client_id() == connection
    assert await client.client_id() == connection
    assert authentications(cloud) == before + 1


async def test_a_subscriber_sends_a_refreshed_token_and_misses_no_message(client: Client, cloud: Cloud, monkeypatch):
    cloud.seconds = 200
    before = authentications(cloud)
    async with client.pubsub() as subscriber:
        await subscriber.subscribe("ours")
        await refresh(cloud, monkeypatch)
        for text in (b"one", b"two"):
            await client.publish("ours", text)
        received: list[bytes] = []
        while b"two" not in received:
            message = await subscriber.get_message(ignore_subscribe_messages=True, timeout=30)
            # The response to the token arrives like one to a ping, without a channel.
            received += [message["data"]] if message and message["channel"] else []
        assert received == [b"one", b"two"]
        assert authentications(cloud) == before + 1


async def test_without_a_token_redis_is_unreachable(client: Client, cloud: Cloud):
    cloud.status = 400
    with pytest.raises(RedisConnectionError, match="no token for https://redis"):
        await client.ping()
