"""allauth's OAuth 2.0 client, which proves without a secret what it is: by a token of the managed identity.

The app registration trusts that identity (a federated credential), so its token stands for the client secret as a
client assertion: RFC 7523, section 2.2.
"""

from http import HTTPStatus
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from requests import RequestException

from chatsite.identity import NoToken, identity
from conversations.accounts.entra.failures import Unreachable, told_by

EXCHANGE = "api://AzureADTokenExchange/.default"  # the audience that federated credentials have


class EntraClient(OAuth2Client):
    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Redeem a code; return an answer that holds an ID token and nothing else. Raises `SignInFailed`.

        Instead of allauth's, which puts all that came into its error, tokens too, and has a KeyError for some answers.
        """
        answer = fetch(
            "POST",
            self.access_token_url,
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.callback_url,
            client_id=self.consumer_key,
            code_verifier=pkce_code_verifier or "",
            **self._proof(),
        )
        if not isinstance(answer.get("id_token"), str):
            raise told_by(answer)
        return {"access_token": "", "id_token": answer["id_token"]}  # allauth takes one along; nobody here needs it

    def _proof(self) -> dict[str, str]:
        if self.consumer_secret:
            return {"client_secret": self.consumer_secret}
        try:
            assertion = identity.token(EXCHANGE).text
        except NoToken as error:
            raise Unreachable(str(error)) from error
        return {
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }


def fetch(method: str, address: str, **form: str) -> dict[str, Any]:
    """Return the JSON object at an address of the tenant's; raise `Unreachable` without one."""
    try:
        with get_adapter().get_requests_session() as session:  # with allauth's time-out
            response = session.request(method, address, data=form, allow_redirects=False)
            answer = response.json()
    except RequestException as error:
        raise Unreachable(type(error).__name__) from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(answer, dict):
        raise Unreachable(f"status {response.status_code}")
    return answer
