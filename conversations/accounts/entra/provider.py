"""The provider for one tenant of Entra ID. allauth finds it by this module's name."""

from typing import Any

from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from django.conf import settings

from chatsite.identity import NoToken, identity
from conversations.accounts.sso import tokens
from conversations.accounts.sso.client import CodeClient
from conversations.accounts.sso.failures import Unreachable, Untrusted
from conversations.accounts.sso.provider import SingleSignOnOAuth2Adapter, SingleSignOnProvider

ID = "entra"
EXCHANGE = "api://AzureADTokenExchange/.default"  # the scope whose audience federated credentials accept


class EntraClient(CodeClient):
    """A client that can authenticate with a token of the managed identity instead of a secret.

    The app registration trusts that identity (a federated credential), so its token serves as a client assertion:
    RFC 7523, section 2.2.
    """

    def client_authentication(self) -> dict[str, str]:
        if self.consumer_secret:
            return super().client_authentication()
        try:
            assertion = identity.token(EXCHANGE).text
        except NoToken as error:
            raise Unreachable(str(error)) from error
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }


class EntraOAuth2Adapter(SingleSignOnOAuth2Adapter):
    client_class: type[OAuth2Client] = EntraClient

    @property
    def openid_config(self) -> dict[str, Any]:
        # As Microsoft documents them: sign-in does not depend on a discovery document, and the issuer need not be taken
        # from what is to be verified.
        base = f"{settings.ENTRA_AUTHORITY_HOST}/{settings.ENTRA_TENANT_ID}"
        return {
            "issuer": f"{base}/v2.0",
            "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
            "token_endpoint": f"{base}/oauth2/v2.0/token",
            "jwks_uri": f"{base}/discovery/v2.0/keys",
        }

    def to_store(self, claims: dict[str, Any], access_token: str) -> dict[str, Any]:
        if claims.get("tid") != settings.ENTRA_TENANT_ID:
            raise Untrusted("another tenant")
        return {
            "tid": claims["tid"],
            "oid": tokens.identifier(claims, "oid"),
            "name": tokens.printable(claims.get("name")),
            "preferred_username": tokens.printable(claims.get("preferred_username")),
            "roles": tokens.roles(claims.get("roles")),
        }


class EntraProvider(SingleSignOnProvider):
    id = ID
    name = "Microsoft"
    oauth2_adapter_class = EntraOAuth2Adapter

    @property
    def log_name(self) -> str:
        return "Entra ID"

    def extract_uid(self, data: dict[str, Any]) -> str:
        # Not `sub`, which differs for each registration: a new registration would lose all accounts. The object id is
        # also how the tenant's administrators find a person.
        return f"{data['tid']}/{data['oid']}"


provider_classes = [EntraProvider]
