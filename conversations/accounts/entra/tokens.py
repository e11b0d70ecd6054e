"""Verify the tenant's ID tokens."""

import functools
import hashlib
import hmac
from typing import Any

import jwt
from django.conf import settings

from conversations.accounts.entra.client import fetch_json
from conversations.accounts.entra.failures import Untrusted

CLOCK_SKEW_SECONDS = 60
REQUIRED_CLAIMS = ["iss", "aud", "exp", "iat", "nonce", "tid", "oid"]


class SigningKeys(jwt.PyJWKClient):
    """The tenant's keys, cached for five minutes and fetched again for a key id that is not among them."""

    def fetch_data(self) -> Any:
        """Return the JWK set; raise `Unreachable` without one."""
        return fetch_json("GET", self.uri)


@functools.cache
def signing_keys(authority_url: str) -> SigningKeys:
    # No cooldown: the key id comes from the tenant's token endpoint, so nobody else can cause requests for new keys.
    return SigningKeys(f"{authority_url}/discovery/v2.0/keys", cooldown_duration=0)


def authority_url() -> str:
    """Return the start of the tenant's URLs.

    It is known in advance, by Microsoft's documentation, so the issuer need not be taken from what is to be verified.
    """
    return f"{settings.ENTRA_AUTHORITY_HOST}/{settings.ENTRA_TENANT_ID}"


def nonce_for(code_verifier: str) -> str:
    """Return the nonce that binds an ID token to the browser with this verifier (OpenID Connect Core, 15.5.2)."""
    return hashlib.sha256(f"nonce:{code_verifier}".encode()).hexdigest()


def verify(id_token: str, expected_nonce: str) -> dict[str, Any]:
    """Return the claims that are stored; raise `Untrusted` unless this tenant issued the token for this site and nonce.

    allauth would not verify the signature of a token that came over TLS, and takes the algorithm from the token.
    Raises `Unreachable` if keys are needed and cannot be fetched.
    """
    try:
        claims = jwt.decode(
            id_token,
            signing_keys(authority_url()).get_signing_key_from_jwt(id_token),
            algorithms=["RS256"],
            audience=settings.ENTRA_CLIENT_ID,
            issuer=f"{authority_url()}/v2.0",
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
    except jwt.PyJWTError as error:
        raise Untrusted(type(error).__name__) from error
    if claims["tid"] != settings.ENTRA_TENANT_ID:
        raise Untrusted("another tenant")
    if not isinstance(claims["oid"], str) or not claims["oid"].strip():
        raise Untrusted("no object id")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), expected_nonce.encode()):
        raise Untrusted("another nonce")
    roles = claims.get("roles")
    return {
        "tid": claims["tid"],
        "oid": claims["oid"],
        "name": _printable(claims.get("name")),
        "preferred_username": _printable(claims.get("preferred_username")),
        "roles": [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else [],
    }


def _printable(value: object) -> str:
    """Return a claim without control characters, cut to the length of our columns."""
    return "".join(filter(str.isprintable, value))[:150] if isinstance(value, str) else ""
