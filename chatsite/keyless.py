"""Connections to PostgreSQL and Redis that authenticate with tokens of the site's identity instead of passwords."""

import contextlib
from typing import Any

import psycopg
from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection, parse_url
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.maint_notifications import MaintNotificationsConfig

from chatsite.identity import DATABASE, REDIS, NoToken, Token, identity


class DatabaseConnection(psycopg.Connection[Any]):
    """A connection of psycopg's pool, which opens all its connections with the same arguments, plus a current token.

    PostgreSQL checks the token when the connection opens. An open connection outlives it.
    """

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> "DatabaseConnection":
        try:
            token = identity.token(DATABASE)
        except NoToken as error:
            raise psycopg.OperationalError(str(error)) from error
        return super().connect(conninfo, password=token.text, **kwargs)


class TokenAuthentication(CredentialProvider, AbstractConnection):
    """Mixin for connections to Redis that authenticate with the current token, and again whenever it is refreshed.

    Redis on Azure closes a connection whose token has expired. A publisher's connection authenticates when it is taken
    from the pool, a subscriber's between two reads. The latter needs RESP3, as a RESP2 subscriber may send no other
    commands. The server's OK then arrives among the messages, where redis-py takes it for the response to a ping, which
    Channels ignores. (redis-py's own re-authentication would read that OK while another task reads from the same
    connection.)
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.credential_provider = self
        self._token: Token | None = None
        self._is_subscriber = False

    async def get_credentials_async(self) -> tuple[str, str]:
        self._token = await current_token()
        return self._token.object_id, self._token.text

    def register_connect_callback(self, callback: Any) -> None:
        """Register a callback. Only subscribers have one, which subscribes again after a reconnect."""
        self._is_subscriber = True
        super().register_connect_callback(callback)

    async def connect(self) -> None:
        if self.is_connected and not self._is_subscriber and await self._send_new_token():
            await self.read_response()
        await super().connect()

    async def read_response(self, *args: Any, push_request: bool | None = False, **kwargs: Any) -> Any:
        if push_request:  # a subscriber waits for messages; it does not read the response to a command
            await self._send_new_token()
        return await super().read_response(*args, push_request=push_request, **kwargs)

    async def _send_new_token(self) -> bool:
        """Authenticate again if the token has been refreshed; return whether the server will respond to that."""
        with contextlib.suppress(RedisConnectionError):  # the connection works until the server closes it
            if await current_token() is not self._token:
                await self.send_command("AUTH", *await self.get_credentials_async(), check_health=False)
                return True
        return False


class PlainConnection(TokenAuthentication, Connection):
    """A connection without TLS. The settings allow it on loopback only."""


class TLSConnection(TokenAuthentication, SSLConnection):
    """A connection with TLS."""


async def current_token() -> Token:
    """Return a valid token for Redis. Raises `RedisConnectionError`, as if the server were unreachable."""
    try:
        return await identity.atoken(REDIS)
    except NoToken as error:
        raise RedisConnectionError(str(error)) from error


def redis_host(url: str) -> dict[str, Any]:
    """Return the channel layer's configuration for the Redis server at `url`."""
    found = parse_url(url)
    found["connection_class"] = TLSConnection if "connection_class" in found else PlainConnection
    return {**found, "protocol": 3, "maint_notifications_config": MaintNotificationsConfig(enabled=False)}
