"""Verify ID tokens."""

import functools
import hashlib
import hmac
from collections.abc import Sequence
from typing import Any

import jwt

from conversations.accounts.sso.client import fetch_json
from conversations.accounts.sso.failures import Untrusted

CLOCK_SKEW_SECONDS = 60
REQUIRED_CLAIMS = ["iss", "aud", "exp", "iat", "nonce", "sub"]


class SigningKeys(jwt.PyJWKClient):
    """A provider's keys, cached for five minutes and fetched again for a key id that is not among them."""

    def fetch_data(self) -> Any:
        """Return the JWK set; raise `Unreachable` without one."""
        return fetch_json("GET", self.uri)


@functools.cache
def signing_keys(url: str) -> SigningKeys:
    # No cooldown: the key id comes from the provider's token endpoint, so nobody else can cause requests for new keys.
    return SigningKeys(url, cooldown_duration=0)


def nonce_for(code_verifier: str) -> str:
    """Return the nonce that binds an ID token to the browser with this verifier (OpenID Connect Core, 15.5.2)."""
    return hashlib.sha256(f"nonce:{code_verifier}".encode()).hexdigest()


def verify(
    id_token: str, *, keys: SigningKeys, algorithms: Sequence[str], issuer: str, client_id: str, nonce: str
) -> dict[str, Any]:
    """Return the claims of a token; raise `Untrusted` unless this issuer issued it for this site and nonce.

    allauth would not verify the signature of a token that came over TLS, and takes the algorithm from the token.
    Raises `Unreachable` if keys are needed and cannot be fetched.
    """
    try:
        claims = jwt.decode(
            id_token,
            keys.get_signing_key_from_jwt(id_token),
            algorithms=algorithms,
            audience=client_id,
            issuer=issuer,
            leeway=CLOCK_SKEW_SECONDS,
            options={"require": REQUIRED_CLAIMS},
        )
    except jwt.PyJWTError as error:
        raise Untrusted(type(error).__name__) from error
    if claims.get("azp", client_id) != client_id:
        raise Untrusted("for another site")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
        raise Untrusted("another nonce")
    return claims


def identifier(claims: dict[str, Any], name: str) -> str:
    """Return a claim that identifies a person; raise `Untrusted` if it identifies nobody."""
    value = claims.get(name)
    if not isinstance(value, str) or not value.strip():
        raise Untrusted(f"no {name}")
    return value


def printable(value: object) -> str:
    """Return a claim without control characters, cut to the length of our columns."""
    return "".join(filter(str.isprintable, value))[:150] if isinstance(value, str) else ""


def roles(value: object) -> list[str]:
    """Return the strings in a claim that lists roles."""
    return [role for role in value if isinstance(role, str)] if isinstance(value, list) else []
