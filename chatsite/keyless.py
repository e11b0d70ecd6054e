"""Connections to PostgreSQL and Redis that show a token of the site's identity where others show a password."""

import contextlib
from typing import Any

import psycopg
from redis.asyncio.connection import Connection, SSLConnection, parse_url
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisAway
from redis.maint_notifications import MaintNotificationsConfig

from chatsite.identity import DATABASE, REDIS, NoToken, Token, identity


class DatabaseConnection(psycopg.Connection[Any]):
    """For psycopg's pool, which opens all its connections with the arguments of the first: the token is added here.

    PostgreSQL looks at it once; a connection that is open stays so when its token's time is over.
    """

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> "DatabaseConnection":  # type: ignore[override]
        try:
            token = identity.token(DATABASE)
        except NoToken as error:
            raise psycopg.OperationalError(str(error)) from error
        return super().connect(conninfo, password=token.text, **kwargs)


class TokenBearer(CredentialProvider):
    """What makes a connection to Redis show the identity's newest token: when it opens, and whenever there is a newer.

    Redis on Azure ends a connection whose token's time is over. A publisher's connection is renewed when it is taken
    out of the pool, a subscriber's between two readings. That needs RESP3: before, a subscriber could say nothing
    else. The server's OK then comes among the messages, where redis-py takes it for an answer to a ping, and Channels
    for nothing. (redis-py's own way reads that OK itself, while another task reads the same connection.)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.credential_provider = self
        self._token: Token | None = None
        self._subscribes = False

    async def get_credentials_async(self) -> tuple[str, str]:
        self._token = await newest()
        return self._token.object_id, self._token.text

    def register_connect_callback(self, callback: Any) -> None:
        """As redis-py does; a subscriber alone has one, to subscribe again."""
        self._subscribes = True
        super().register_connect_callback(callback)

    async def connect(self) -> None:
        if self.is_connected and not self._subscribes and await self._show_newer():
            await self.read_response()
        await super().connect()

    async def read_response(self, *args: Any, push_request: bool | None = False, **kwargs: Any) -> Any:
        if push_request:  # a subscriber's reading, not the answer to a greeting
            await self._show_newer()
        return await super().read_response(*args, push_request=push_request, **kwargs)

    async def _show_newer(self) -> bool:
        """Authenticate anew if there is a newer token; tell whether the server will answer to that."""
        with contextlib.suppress(RedisAway):  # the connection is good for as long as the server says
            if await newest() is not self._token:
                await self.send_command("AUTH", *await self.get_credentials_async(), check_health=False)
                return True
        return False


class PlainConnection(TokenBearer, Connection):
    """On this machine alone: the settings refuse it elsewhere."""


class TLSConnection(TokenBearer, SSLConnection):
    pass


async def newest() -> Token:
    """Return the token to show. Raises `RedisAway`: without one, Redis might as well not be there."""
    try:
        return await identity.atoken(REDIS)
    except NoToken as error:
        raise RedisAway(str(error)) from error


def redis_host(url: str) -> dict[str, Any]:
    """Return how the channel layer is to reach the Redis at `url`."""
    found = parse_url(url)
    found["connection_class"] = TLSConnection if "connection_class" in found else PlainConnection
    return {**found, "protocol": 3, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}
