"""allauth's OpenID Connect provider, made for one tenant of Entra ID. allauth finds it by this module's name."""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest
from django.urls import reverse

from conversations.accounts.entra import tokens
from conversations.accounts.entra.client import EntraClient, fetch
from conversations.accounts.entra.failures import Stale

ID = "entra"


class EntraOAuth2Adapter(OpenIDConnectOAuth2Adapter):
    """Where the tenant's addresses are, and what is believed of its answer."""

    client_class: type[OAuth2Client] = EntraClient
    nonce = ""

    @property
    def openid_config(self) -> dict[str, str]:
        authority = tokens.authority()
        return {
            "authorization_endpoint": f"{authority}/oauth2/v2.0/authorize",
            "token_endpoint": f"{authority}/oauth2/v2.0/token",
            "jwks_uri": f"{authority}/discovery/v2.0/keys",
        }

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("entra_callback"))

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        if not pkce_code_verifier:
            raise Stale("no verifier")
        self.nonce = tokens.nonce(pkce_code_verifier)
        return super().get_access_token_data(request, app, client, pkce_code_verifier)

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs) -> Any:
        keys = fetch("GET", self.openid_config["jwks_uri"])
        claims = tokens.verify(kwargs["response"]["id_token"], keys, self.nonce)
        return self.get_provider().sociallogin_from_response(request, claims)


class EntraProvider(OpenIDConnectProvider):
    id = ID
    name = "Microsoft"
    oauth2_adapter_class = EntraOAuth2Adapter
    pkce_enabled_default = True
    supports_token_authentication = False

    def get_login_url(self, request: HttpRequest, **kwargs) -> str:
        return reverse("entra_login")

    def get_callback_url(self) -> str:
        return reverse("entra_callback")

    def get_default_scope(self) -> list[str]:
        return ["openid", "profile"]  # the object id comes with the profile; no address is asked for

    def get_auth_params(self) -> dict[str, str]:
        # Signing out here does not sign out of Microsoft: at a shared computer one press would bring the last one back.
        return {"prompt": "select_account"}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        # allauth would also take scopes, parameters and another purpose from the address.
        return {"process": AuthProcess.LOGIN, "next_url": get_next_redirect_url(request)}

    def get_pkce_params(self) -> dict[str, Any]:
        parameters = super().get_pkce_params()
        return parameters | {"nonce": tokens.nonce(parameters["code_verifier"])}

    def extract_uid(self, data: dict[str, Any]) -> str:
        # Not `sub`, which is another one for each registration: a site registered anew would know nobody. The object id
        # is also what the tenant's administrators find a person by.
        return f"{data['tid']}/{data['oid']}"


provider_classes = [EntraProvider]
