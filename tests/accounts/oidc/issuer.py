"""An OpenID Connect provider for tests, with a discovery document and user information: `Tenant` without Microsoft.

issuer.person = {"sub": "ada", "name": "Ada Lovelace", "groups": ["Staff"]}    # who signs in next
issuer.document = {...}                                                         # changes of the discovery document
"""

import base64
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from tests.accounts.entra.tenant import CLIENT, SECRET, Tenant


class Issuer(Tenant):
    """The server. What ID tokens leave out, as some providers do, is in `userinfo`."""

    callback = "/accounts/oidc/login/callback/"

    def reset(self) -> None:
        super().reset()
        self.person = {"sub": "ada", "name": "Ada Lovelace", "preferred_username": "ada"}
        self.userinfo: dict[str, Any] = {}
        self.document: dict[str, Any] = {}
        self.basic = True  # whether the client authenticates by a header, or else in the form

    @property
    def variables(self) -> dict[str, str]:
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_CLIENT_ID": CLIENT,
            "OIDC_CLIENT_SECRET": SECRET,
            "OIDC_NAME": "Example Org",
            "OIDC_ROLES_CLAIM": "groups",
        }

    @property
    def issuer(self) -> str:
        return f"{self.url}/realm"

    def claims(self, nonce: str) -> dict[str, Any]:
        claims = super().claims(nonce)
        del claims["tid"]
        return claims

    def _client_error(self, form: dict[str, str], headers: Mapping[str, str]) -> str:
        if not self.basic:
            return "" if form.get("client_secret") == SECRET else "wrong secret"
        expected = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        is_basic = headers.get("Authorization") == f"Basic {expected}" and "client_secret" not in form
        return "" if is_basic else "wrong header"

    async def _discovery(self, request: web.Request) -> web.Response:
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
        }
        return web.json_response(document | self.document)

    async def _userinfo(self, request: web.Request) -> web.Response:
        kind, token = request.headers["Authorization"].split()
        assert (kind, token in self.issued) == ("Bearer", True)
        return web.json_response({"sub": self.person["sub"]} | self.userinfo)

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/realm/.well-known/openid-configuration", self._discovery)
        router.add_get("/realm/authorize", self._authorize)
        router.add_post("/realm/token", self._token)
        router.add_get("/realm/keys", self._jwks)
        router.add_get("/realm/userinfo", self._userinfo)
