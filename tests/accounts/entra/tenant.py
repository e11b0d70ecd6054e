"""A tenant of Entra ID for tests: an OpenID Connect provider on loopback.

tenant.person = {"oid": ADA, "name": "Ada Lovelace", "roles": ["Reviewer"]}    # who signs in next
tenant.error = {"error": "access_denied"}                                       # or the error returned instead

Like Entra ID, it checks the redirect URI, PKCE, that a code is used once, and the client's secret or assertion.
"""

import asyncio
import base64
import hashlib
import json
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.cloud import Cloud
from tests.endpoint import WAIT

TENANT = "11111111-2222-4333-8444-555555555555"
CLIENT = "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"
SECRET = "canary-secret"
EXCHANGE = "api://AzureADTokenExchange"
ADA = "00000000-0000-4000-8000-0000000000ad"


def redirect(url: str, **query: str) -> web.Response:
    return web.Response(status=302, headers={"Location": f"{url}?{urlencode(query)}"})


def new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Tenant:
    """The server, in a thread with its own event loop. It accepts tokens of the managed identity of `cloud`."""

    callback = "/accounts/entra/login/callback/"

    def __init__(self, cloud: Cloud | None = None) -> None:
        self._cloud = cloud
        self.rotate_key()
        self.key_requests = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self.reset()
        threading.Thread(target=self._serve, daemon=True).start()
        assert self._ready.wait(WAIT)

    def reset(self) -> None:
        """Restore the initial state: Ada signs in. Keys stay, because the site caches them."""
        self.person: dict[str, Any] = {"oid": ADA, "name": "Ada Lovelace", "preferred_username": "ada@example.org"}
        self.error: dict[str, str] = {}  # parameters of the callback, instead of a code
        self.is_federated = False  # sign-in redirects to another origin, as a federation server does
        self.forge: Callable[[dict[str, Any]], str] = self.sign  # from claims to ID token
        self.token_response: Callable[[], web.Response] | None = None  # instead of a token
        self.keys_response: Callable[[], web.Response] | None = None  # instead of the keys
        self.authorize_requests: list[dict[str, str]] = []
        self.token_requests: list[dict[str, str]] = []
        self.issued: list[str] = []  # codes and tokens, which must not be logged
        self._codes: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}

    def rotate_key(self) -> None:
        """Sign from now on with a new key, under a new id."""
        self.key, self.kid = new_key(), uuid.uuid4().hex

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment of a site for this tenant; with a cloud, without a secret."""
        common = {"ENTRA_TENANT_ID": TENANT, "ENTRA_CLIENT_ID": CLIENT, "ENTRA_AUTHORITY_HOST": self.url}
        return common | (self._cloud.variables if self._cloud else {"ENTRA_CLIENT_SECRET": SECRET})

    @property
    def issuer(self) -> str:
        return f"{self.url}/{TENANT}/v2.0"

    def sign(self, claims: dict[str, Any], key: rsa.RSAPrivateKey | None = None) -> str:
        return jwt.encode(claims, key or self.key, "RS256", headers={"kid": self.kid})

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _authorize(self, request: web.Request) -> web.Response:
        query = dict(request.query)
        if self.is_federated and request.url.host != "localhost":
            return redirect(self.url.replace("127.0.0.1", "localhost") + request.path, **query)
        self.authorize_requests.append(query)
        redirect_uri = query["redirect_uri"]
        assert query["client_id"] == CLIENT
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        assert redirect_uri.endswith(self.callback)
        if self.error:
            return redirect(redirect_uri, **self.error, state=query["state"])
        code = f"code-{uuid.uuid4().hex}"
        self.issued.append(code)
        self._codes[code] = (query, dict(self.person))
        return redirect(redirect_uri, code=code, state=query["state"])

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.token_requests.append(form)
        if self.token_response:
            return self.token_response()
        if error := self._client_error(form, request.headers):
            return web.json_response({"error": "invalid_client", "error_description": error}, status=401)
        query, person = self._codes.pop(form["code"], ({}, {}))
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if query.get("code_challenge") != challenge or query["redirect_uri"] != form["redirect_uri"]:
            return web.json_response({"error": "invalid_grant", "error_description": "AADSTS54005: used"}, status=400)
        assert form["grant_type"] == "authorization_code"
        id_token = self.forge(self.claims(query["nonce"]) | person)
        access_token = f"access-{uuid.uuid4().hex}"
        self.issued += [id_token, access_token]
        return web.json_response({"token_type": "Bearer", "access_token": access_token, "id_token": id_token})

    def claims(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        times = {"iat": now, "nbf": now, "exp": now + 3600}
        return times | {
            "iss": self.issuer,
            "aud": CLIENT,
            "tid": TENANT,
            "ver": "2.0",
            "nonce": nonce,
            "sub": "pairwise",
        }

    def _client_error(self, form: dict[str, str], headers: Mapping[str, str]) -> str:
        if form["client_id"] != CLIENT:
            return "AADSTS700016: unknown application"
        if "client_secret" in form:
            return "" if form["client_secret"] == SECRET else "AADSTS7000215: wrong secret"
        assert form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        if self._cloud and self._cloud.accepts(form["client_assertion"], EXCHANGE):
            return ""
        return "AADSTS700213: no matching federated identity"

    async def _jwks(self, request: web.Request) -> web.Response:
        self.key_requests += 1
        if self.keys_response:
            return self.keys_response()
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key()))
        return web.json_response(
            {"keys": [{"kty": "RSA", "use": "sig", "kid": self.kid, "n": key["n"], "e": key["e"]}]}
        )

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get(f"/{TENANT}/oauth2/v2.0/authorize", self._authorize)
        router.add_post(f"/{TENANT}/oauth2/v2.0/token", self._token)
        router.add_get(f"/{TENANT}/discovery/v2.0/keys", self._jwks)

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        self._add_routes(app.router)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()
