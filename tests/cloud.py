"""Azure for tests, as far as an app without keys meets it: who issues tokens, and who is shown them.

Tokens are said to last `seconds`. They are refused when the test lets them expire, never by the way: a slow machine
must not make a token too old between two lines.
"""

import base64
import json
import threading
import time
import uuid
from dataclasses import dataclass

from tests.endpoint import WAIT, Endpoint, Exchange

HEADER = "header-secret"


@dataclass
class Issued:
    text: str
    resource: str
    expires_on: int  # Unix time, in whole seconds as the platform tells it
    expired: bool = False


class Cloud:
    """The identity endpoint that Container Apps gives a container, and what becomes of its tokens."""

    def __init__(self, seconds: int = 86_400) -> None:
        self.seconds = seconds
        self.object_id = str(uuid.uuid4())
        self.client_id = str(uuid.uuid4())
        self.issued: list[Issued] = []
        self.status = 200  # what the endpoint answers
        self.asked: list[dict[str, str]] = []
        self._changed = threading.Condition()
        self._endpoint = Endpoint()
        self._endpoint.respond = self._issue

    @property
    def variables(self) -> dict[str, str]:
        """What the platform and an operator set in the container's environment."""
        return {
            "IDENTITY_ENDPOINT": self._endpoint.base_url,
            "IDENTITY_HEADER": HEADER,
            "AZURE_POD_IDENTITY_AUTHORITY_HOST": "http://127.0.0.1:9",  # else a mistake would ask a real one
            "RUNNING_IN_PRODUCTION": "true",
            "AZURE_CLIENT_ID": self.client_id,
        }

    def tokens(self, resource: str) -> list[str]:
        """Return the tokens issued for a resource, in order."""
        return [token.text for token in self.issued if token.resource == resource]

    def await_issued(self, number: int) -> None:
        """Wait until so many tokens were issued in all."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.issued) >= number, WAIT), f"no token {number}"

    def accepts(self, text: str, resource: str) -> bool:
        return any(t.text == text and t.resource == resource and not t.expired for t in self.issued)

    def let_expire(self) -> list[Issued]:
        """Wait until the time of all tokens issued so far is over, and refuse them from then on."""
        old = list(self.issued)
        time.sleep(max(0.0, max(token.expires_on for token in old) - time.time()))
        for token in old:
            token.expired = True
        return old

    def hold(self) -> None:
        """Let the endpoint not answer, until `release`."""
        self._endpoint.reset()
        self._endpoint.respond = self._issue_later

    def release(self) -> None:
        self._endpoint.open("answer")

    def close(self) -> None:
        self._endpoint.close()

    async def _issue_later(self, exchange: Exchange) -> None:
        await exchange.gate("answer")
        await self._issue(exchange)

    async def _issue(self, exchange: Exchange) -> None:
        self.asked.append(exchange.query)
        if self.status != 200 or exchange.headers.get("X-IDENTITY-HEADER") != HEADER:
            await exchange.fail(self.status if self.status != 200 else 401, "canary-code", "canary-detail")
            return
        resource, expires_on = exchange.query["resource"], int(time.time()) + self.seconds
        claims = json.dumps({"oid": self.object_id, "n": len(self.issued)}).encode()
        text = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.canary"
        with self._changed:
            self.issued.append(Issued(text, resource, expires_on))
            self._changed.notify_all()
        token = {"access_token": text, "expires_on": str(expires_on), "resource": resource, "token_type": "Bearer"}
        await exchange.start(200, "application/json")
        await exchange.raw(json.dumps(token).encode())
