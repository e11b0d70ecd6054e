"""The site's identity at Microsoft Entra: one credential per process, and the tokens it requests instead of keys.

In production the credential is the managed identity of the container, elsewhere the developer's sign-in
(`azd auth login`). Tokens are cached and refreshed in the background after half their lifetime, so that callers rarely
wait and a short outage of the token service has no effect. At most one request per scope is in progress; all callers
that need its token share the result.
"""

import asyncio
import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.conf import settings

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken
    from azure.identity import AzureDeveloperCliCredential, ManagedIdentityCredential

logger = logging.getLogger(__name__)

DATABASE = "https://ossrdbms-aad.database.windows.net/.default"
REDIS = "https://redis.azure.com/.default"

RETRY_SECONDS = 1.0  # between requests while there is no valid token
# Of requests to the platform's token service, which is local: what takes longer will not respond. Callers retry.
TIMEOUTS: dict[str, Any] = {"connection_timeout": 2, "read_timeout": 5, "retry_total": 1}  # seconds; attempts
CLI_SECONDS = 30  # for azd to print a token


class NoToken(Exception):
    """No token could be obtained; the message names the scope and the kind of error, and no part of a response."""

    def __init__(self, scope: str, error: Exception) -> None:
        from azure.core.exceptions import ClientAuthenticationError

        super().__init__(f"no token for {scope} by {identity.description}: {type(error).__name__}")
        # Whether the token service refused the identity, rather than being unreachable.
        self.refused = isinstance(error, ClientAuthenticationError)


@dataclass(frozen=True, slots=True)
class Token:
    """An access token. `valid_until` is a Unix time some way before its expiry."""

    text: str
    valid_until: float

    @property
    def object_id(self) -> str:
        """Return the id of the identity in the tenant. The signature is not verified: that is up to the recipient."""
        payload = self.text.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["oid"])


@dataclass(slots=True)
class Scope:
    """The state of one scope's tokens."""

    token: Token | None = None
    request: Future[Token] | None = None  # the latest, in progress or done
    refresh_at: float = 0.0  # Unix time
    failing: bool = False


class Identity:
    """Provides tokens to threads and to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # only ever held briefly, because the event loop takes it too
        self._credential_lock = threading.Lock()
        self._scopes: dict[str, Scope] = {}
        self._credential: AzureDeveloperCliCredential | ManagedIdentityCredential | None = None

    @property
    def description(self) -> str:
        return "managed identity" if settings.RUNNING_IN_PRODUCTION else "azd's sign-in"

    def token(self, scope: str) -> Token:
        """Return a valid token for `scope`, waiting for one only if none is cached. Raises `NoToken`."""
        found = self._find(scope)
        return found if isinstance(found, Token) else found.result()

    async def atoken(self, scope: str) -> Token:
        """Return the same as `token`, without blocking the event loop. Raises `NoToken`."""
        found = self._find(scope)
        # Shielded: a caller that is cancelled must not cancel the request that others share.
        return found if isinstance(found, Token) else await asyncio.shield(asyncio.wrap_future(found))

    def fails(self, scope: str) -> bool:
        """Return whether the last request for a token of this scope failed."""
        return scope in self._scopes and self._scopes[scope].failing

    def close(self) -> None:
        """Drop all tokens and close the credential. The next caller opens it again."""
        with self._lock:
            self._scopes, credential, self._credential = {}, self._credential, None
        if credential:
            credential.close()

    def _find(self, name: str) -> Token | Future[Token]:
        """Return a valid token, or else the latest request for one; start a request if it is time to refresh."""
        with self._lock:
            scope, now = self._scopes.setdefault(name, Scope()), self._clock()
            if scope.request is None or (scope.request.done() and now >= scope.refresh_at):
                request: Future[Token] = Future()
                # A thread of its own: it is needed once in hours, and a daemon does not delay the end of the process.
                threading.Thread(target=self._request, args=(name, scope, request), daemon=True).start()
                scope.request = request
            return scope.token if scope.token and now < scope.token.valid_until else scope.request

    def _request(self, name: str, scope: Scope, request: Future[Token]) -> None:
        try:
            found = self._open().get_token_info(name)
        except Exception as error:  # noqa: BLE001  (whatever it is, callers are waiting for it)
            failure = NoToken(name, error)
            with self._lock:
                now, was_failing, scope.failing = self._clock(), scope.failing, True
                # With a valid token, retry with a backoff: after half of the time that it has left.
                left = scope.token.valid_until - now if scope.token else 0
                scope.refresh_at = now + max(RETRY_SECONDS, left / 2)
                self._credential = None  # it caches its failure for a minute
            if not was_failing:  # once, not for each attempt
                logger.warning("%s", failure)
            request.set_exception(failure)
            return
        with self._lock:
            now, was_failing, scope.failing = self._clock(), scope.failing, False
            lifetime = found.expires_on - now
            scope.token = token = Token(found.token, now + 0.9 * lifetime)
            scope.refresh_at = now + 0.5 * lifetime
        if was_failing:
            logger.info("tokens for %s are available again", name)
        request.set_result(token)

    def _open(self) -> "AzureDeveloperCliCredential | ManagedIdentityCredential":
        # Imported here: it takes as long as importing Django, and sites without an Azure identity do not need it.
        from azure.identity import AzureDeveloperCliCredential, ManagedIdentityCredential

        with self._credential_lock:
            if self._credential is None:
                self._credential = (
                    ManagedIdentityCredential(client_id=settings.AZURE_CLIENT_ID or None, **TIMEOUTS)
                    if settings.RUNNING_IN_PRODUCTION
                    else AzureDeveloperCliCredential(tenant_id=settings.AZURE_TENANT_ID, process_timeout=CLI_SECONDS)
                )
            return self._credential


identity = Identity()


class StorageCredential:
    """The site's identity as Azure's library for blobs takes it."""

    def get_token(self, *scopes: str, **_options: Any) -> "AccessToken":
        """Return a token for the first of `scopes`. Raises `NoToken`."""
        from azure.core.credentials import AccessToken

        token = identity.token(scopes[0])
        return AccessToken(token.text, int(token.valid_until))
