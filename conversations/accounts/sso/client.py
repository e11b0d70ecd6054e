"""allauth's OAuth 2.0 client, with responses that are checked before they are used."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote_plus

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Client
from requests import RequestException

from conversations.accounts.sso.failures import Unreachable, from_oauth_error


class CodeClient(OAuth2Client):
    def get_access_token(
        self, code: str, pkce_code_verifier: str | None = None, extra_data: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Redeem a code; return only the ID token and the access token ("" if none). Raises `SignInFailed`.

        allauth's own puts the whole response, tokens included, into its error, and raises KeyError for some responses.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.callback_url,
            "client_id": self.consumer_key,
            "code_verifier": pkce_code_verifier or "",
        }
        if self.basic_auth:
            # Each is form-encoded first (RFC 6749, section 2.3.1).
            credentials = (quote_plus(self.consumer_key), quote_plus(self.consumer_secret))
            answer = fetch_json("POST", self.access_token_url, auth=credentials, data=form)
        else:
            answer = fetch_json("POST", self.access_token_url, data=form | self.client_authentication())
        if not isinstance(answer.get("id_token"), str):
            raise from_oauth_error(answer)
        access_token = answer.get("access_token")
        return {
            "access_token": access_token if isinstance(access_token, str) else "",  # allauth requires the key
            "id_token": answer["id_token"],
        }

    def client_authentication(self) -> dict[str, str]:
        """Return the fields of the form by which this site authenticates to the provider."""
        return {"client_secret": self.consumer_secret}


def fetch_json(method: str, url: str, **options: Any) -> dict[str, Any]:
    """Return the JSON object that the provider responds with; raise `Unreachable` if there is none.

    `options` are those of `requests`.
    """
    try:
        with get_adapter().get_requests_session() as session:  # with allauth's timeout
            response = session.request(method, url, allow_redirects=False, **options)
            answer = response.json()
    except RequestException as error:
        raise Unreachable(type(error).__name__) from error
    if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR or not isinstance(answer, dict):
        raise Unreachable(f"status {response.status_code}")
    return answer
