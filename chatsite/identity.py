"""The site's identity at Microsoft Entra: the one credential of this process, and the tokens it brings instead of keys.

In production that is the managed identity which the platform lends to the container, elsewhere the sign-in of whoever
develops (`azd auth login`). A token is kept, and asked for anew in the background when half of its time is over: nobody
waits for the second one, and a token service that is away for a while is not noticed. Each scope has one request under
way at most; all who need its token share the outcome.
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
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from azure.identity import AzureDeveloperCliCredential, ManagedIdentityCredential

logger = logging.getLogger(__name__)

DATABASE = "https://ossrdbms-aad.database.windows.net/.default"
REDIS = "https://redis.azure.com/.default"

RETRY_SECONDS = 1.0
# The platform's token service is next door: what takes longer will not answer. Whoever needs a token tries again.
PATIENCE = {"connection_timeout": 2, "read_timeout": 5, "retry_total": 1}
CLI_SECONDS = 30


class NoToken(Exception):
    """No token is to be had; the message names the scope and the kind of failure, never what was answered."""

    def __init__(self, scope: str, error: Exception) -> None:
        from azure.core.exceptions import ClientAuthenticationError

        super().__init__(f"no token for {scope} by {identity.description}: {type(error).__name__}")
        # That there is no such identity, or that it may not; else the token service is out of reach.
        self.refused = isinstance(error, ClientAuthenticationError)


@dataclass(frozen=True, slots=True)
class Token:
    text: str
    good_until: float  # Unix time; a little before it expires, so that it arrives in time

    @property
    def object_id(self) -> str:
        """Whose token it is. Not verified: that is for those who are shown it."""
        payload = self.text.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["oid"]


@dataclass(slots=True)
class Held:
    """What is known of one scope's tokens."""

    token: Token | None = None
    request: Future[Token] | None = None  # the newest, under way or done
    ask_at: float = 0.0
    failing: bool = False


class Identity:
    """Hands out tokens to any thread and to the event loop."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # never held for long: the event loop takes it too
        self._opening = threading.Lock()
        self._held: dict[str, Held] = {}
        self._credential: AzureDeveloperCliCredential | ManagedIdentityCredential | None = None

    @property
    def description(self) -> str:
        return "managed identity" if settings.RUNNING_IN_PRODUCTION else "azd's sign-in"

    def token(self, scope: str) -> Token:
        """Return a token for `scope`; wait for it only when none is good. Raises `NoToken`."""
        found = self._find(scope)
        return found if isinstance(found, Token) else found.result()

    async def atoken(self, scope: str) -> Token:
        """`token`, for the event loop."""
        found = self._find(scope)
        # Shielded, because a request that one waiter gives up is still that of the others.
        return found if isinstance(found, Token) else await asyncio.shield(asyncio.wrap_future(found))

    def fails(self, scope: str) -> bool:
        """Tell whether the last request for such a token failed."""
        return scope in self._held and self._held[scope].failing

    def close(self) -> None:
        """Forget all tokens and close the credential. Whoever asks later opens it again."""
        with self._lock:
            self._held, credential, self._credential = {}, self._credential, None
        if credential:
            credential.close()

    def _find(self, scope: str) -> Token | Future[Token]:
        """Return a good token, or the request that will bring one or has just failed to; begin one if it is time."""
        with self._lock:
            held, now = self._held.setdefault(scope, Held()), self._clock()
            if held.request is None or (held.request.done() and now >= held.ask_at):
                request: Future[Token] = Future()
                # A thread for each: there is one in hours, and a daemon does not hold up the end of the process.
                threading.Thread(target=self._request, args=(scope, held, request), daemon=True).start()
                held.request = request
            return held.token if held.token and now < held.token.good_until else held.request

    def _request(self, scope: str, held: Held, request: Future[Token]) -> None:
        try:
            found = self._open().get_token_info(scope)
        except Exception as error:  # noqa: BLE001  (whatever it is, others wait to hear of it)
            failure = NoToken(scope, error)
            with self._lock:
                now, said, held.failing = self._clock(), held.failing, True
                held.ask_at = now + max(RETRY_SECONDS, (held.token.good_until - now) / 2 if held.token else 0)
                self._credential = None  # it would tell the same for a minute, without asking anybody
            if not said:  # once, not with each try
                logger.warning("%s", failure)
            request.set_exception(failure)
            return
        with self._lock:
            now, failed, held.failing = self._clock(), held.failing, False
            seconds = found.expires_on - now
            held.token = token = Token(found.token, now + 0.9 * seconds)
            held.ask_at = now + 0.5 * seconds
        if failed:
            logger.info("there are tokens for %s again", scope)
        request.set_result(token)

    def _open(self) -> "AzureDeveloperCliCredential | ManagedIdentityCredential":
        # Here, for a site without an Azure identity need not wait for it: that takes as long as Django.
        from azure.identity import AzureDeveloperCliCredential, ManagedIdentityCredential

        with self._opening:
            if self._credential is None:
                self._credential = (
                    ManagedIdentityCredential(client_id=settings.AZURE_CLIENT_ID or None, **PATIENCE)
                    if settings.RUNNING_IN_PRODUCTION
                    else AzureDeveloperCliCredential(tenant_id=settings.AZURE_TENANT_ID, process_timeout=CLI_SECONDS)
                )
            return self._credential


identity = Identity()
