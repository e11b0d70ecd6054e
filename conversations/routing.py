"""Websocket URLs, and the check of their origin."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from channels.routing import URLRouter
from channels.security.websocket import WebsocketDenier
from channels.sessions import CookieMiddleware
from django.conf import settings
from django.http.request import validate_host
from django.urls import path

from chatsite.request_limit import RequestLimit
from conversations.consumers import ConversationConsumer


def websocket_application(limit: RequestLimit) -> Callable[[dict[str, Any], Any, Any], Awaitable[None]]:
    """Return an application that accepts sockets of pages from this origin, and of clients that are not browsers."""
    consumer = ConversationConsumer.as_asgi(limit=limit)
    sockets = CookieMiddleware(URLRouter([path("ws/conversations/<uuid:conversation_id>/", consumer)]))

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await (sockets if is_same_origin(scope) else WebsocketDenier())(scope, receive, send)

    return application


def is_same_origin(scope: dict[str, Any]) -> bool:
    """Return whether `Origin` is this site, including scheme and port, or one of CSRF_TRUSTED_ORIGINS.

    Browsers always send the header, and pages cannot change it. A client without it does not have a user's cookies.
    """
    headers = dict(scope["headers"])
    if (origin := headers.get(b"origin")) is None:
        return True
    origin, host = origin.decode("latin1"), headers.get(b"host", b"").decode("latin1")
    if origin in settings.CSRF_TRUSTED_ORIGINS:
        return True
    schemes = {"https"} if settings.SESSION_COOKIE_SECURE else {"http", "https"}
    parts = urlsplit(origin)
    return parts.scheme in schemes and parts.netloc == host and validate_host(_name(host), settings.ALLOWED_HOSTS)


def _name(host: str) -> str:
    """Return a Host header without its port; an IPv6 address keeps its brackets."""
    return host[: host.rindex("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0].lower()
