"""allauth's OAuth 2.0 client, which can authenticate with a token of the managed identity instead of a secret.

The app registration trusts that identity (a federated credential), so its token serves as a client assertion: RFC 7523,
section 2.2.
"""

from http import HTTPStatus
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from requests import RequestException

from chatsite.identity import NoToken, identity
from conversations.accounts.entra.failures import Unreachable, from_oauth_error

EXCHANGE = "api://AzureADTokenExchange/.default"  # the scope whose audience federated credentials accept


class EntraClient(OAuth2Client):
    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Redeem a code; return a response that contains nothing but an ID token. Raises `SignInFailed`.

        allauth's own puts the whole response, tokens included, into its error, and raises KeyError for some responses.
        """
        answer = fetch_json(
            "POST",
            self.access_token_url,
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.callback_url,
            client_id=self.consumer_key,
            code_verifier=pkce_code_verifier or "",
            **self._client_authentication(),
        )
        if not isinstance(answer.get("id_token"), str):
            raise from_oauth_error(answer)
        return {"access_token": "", "id_token": answer["id_token"]}  # allauth requires the key; the token is not used

    def _client_authentication(self) -> dict[str, str]:
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


def fetch_json(method: str, url: str, **form: str) -> dict[str, Any]:
    """Return the JSON object that the tenant responds with; raise `Unreachable` if there is none."""
    try:
        with get_adapter().get_requests_session() as session:  # with allauth's timeout
            response = session.request(method, url, data=form, allow_redirects=False)
            answer = response.json()
    except RequestException as error:
        raise Unreachable(type(error).__name__) from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(answer, dict):
        raise Unreachable(f"status {response.status_code}")
    return answer
