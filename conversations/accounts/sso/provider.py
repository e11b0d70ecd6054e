"""allauth's OpenID Connect provider, with a nonce and verified ID tokens."""

from typing import Any, ClassVar

from allauth.account.utils import get_next_redirect_url
from allauth.socialaccount.providers.base.constants import AuthProcess
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.http import HttpRequest
from django.urls import reverse

from conversations.accounts.sso import tokens
from conversations.accounts.sso.client import CodeClient
from conversations.accounts.sso.failures import Stale


class SingleSignOnOAuth2Adapter(OpenIDConnectOAuth2Adapter):
    """A provider's endpoints, and what is accepted of their responses."""

    client_class: type[OAuth2Client] = CodeClient
    algorithms: ClassVar = ["RS256"]
    nonce = ""

    def get_callback_url(self, request: HttpRequest, app: Any) -> str:
        return request.build_absolute_uri(reverse(f"{self.provider_id}_callback"))

    def get_access_token_data(
        self, request: HttpRequest, app: Any, client: OAuth2Client, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        if not pkce_code_verifier:
            raise Stale("no code verifier")
        self.nonce = tokens.nonce_for(pkce_code_verifier)
        return super().get_access_token_data(request, app, client, pkce_code_verifier)

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs) -> Any:
        config = self.openid_config
        claims = tokens.verify(
            kwargs["response"]["id_token"],
            keys=tokens.signing_keys(config["jwks_uri"]),
            algorithms=self.algorithms,
            issuer=config["issuer"],
            client_id=app.client_id,
            nonce=self.nonce,
        )
        stored = self.to_store(claims, kwargs["response"]["access_token"])
        token.token = ""  # it has served its purpose
        return self.get_provider().sociallogin_from_response(request, stored)

    def to_store(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        """Return what is stored of a person: who they are, `name`, `preferred_username` and `roles`.

        `roles` is None if this site decides about them. Raises `SignInFailed`.
        """
        raise NotImplementedError


class SingleSignOnProvider(OpenIDConnectProvider):
    pkce_enabled_default = True
    supports_token_authentication = False

    @property
    def log_name(self) -> str:
        """Return what the log and the audit trail call the provider."""
        return self.name

    def get_login_url(self, request: HttpRequest, **kwargs) -> str:
        return reverse(f"{self.id}_login")

    def get_callback_url(self) -> str:
        return reverse(f"{self.id}_callback")

    def get_default_scope(self) -> list[str]:
        return ["openid", "profile"]  # the email address is not requested

    def get_auth_params(self) -> dict[str, str]:
        # Signing out here does not sign out there: on a shared computer, the next person could sign in as the last one
        # without a password.
        return {"prompt": "select_account"}

    def get_redirect_from_request_kwargs(self, request: HttpRequest) -> dict[str, Any]:
        # allauth would also accept scopes, parameters and another process from the query string.
        return {"process": AuthProcess.LOGIN, "next_url": get_next_redirect_url(request)}

    def get_pkce_params(self) -> dict[str, Any]:
        parameters = super().get_pkce_params()
        return parameters | {"nonce": tokens.nonce_for(parameters["code_verifier"])}
