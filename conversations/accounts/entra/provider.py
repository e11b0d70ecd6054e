"""allauth's OpenID Connect provider for one tenant of Entra ID. allauth finds it by this module's name."""

from typing import Any

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest
from django.urls import reverse

from conversations.accounts.entra import tokens
from conversations.accounts.entra.client import EntraClient
from conversations.accounts.entra.failures import Stale

ID = "entra"


class EntraOAuth2Adapter(OpenIDConnectOAuth2Adapter):
    """The tenant's endpoints, and what is accepted of their responses."""

    client_class: type[OAuth2Client] = EntraClient
    nonce = ""

    @property
    def openid_config(self) -> dict[str, str]:
        # As Microsoft documents them: sign-in does not depend on a discovery document.
        base = tokens.authority_url()
        return {
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
        }

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse("entra_callback"))

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        if not pkce_code_verifier:
            raise Stale("no code verifier")
        self.nonce = tokens.nonce_for(pkce_code_verifier)
        return super().get_access_token_data(request, app, client, pkce_code_verifier)

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs) -> Any:
        claims = tokens.verify(kwargs["response"]["id_token"], self.nonce)
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
        return ["openid", "profile"]  # `profile` includes the object id; the email address is not requested

    def get_auth_params(self) -> dict[str, str]:
        # Signing out here does not sign out of Microsoft: on a shared computer, the next person could sign in as the
        # last one without a password.
        return {"prompt": "select_account"}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        # allauth would also accept scopes, parameters and another process from the query string.
        return {"process": AuthProcess.LOGIN, "next_url": get_next_redirect_url(request)}

    def get_pkce_params(self) -> dict[str, Any]:
        parameters = super().get_pkce_params()
        return parameters | {"nonce": tokens.nonce_for(parameters["code_verifier"])}

    def extract_uid(self, data: dict[str, Any]) -> str:
        # Not `sub`, which differs for each registration: a new registration would lose all accounts. The object id is
        # also how the tenant's administrators find a person.
        return f"{data['tid']}/{data['oid']}"


provider_classes = [EntraProvider]
