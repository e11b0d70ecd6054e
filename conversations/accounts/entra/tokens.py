"""What the tenant says about a person: an ID token, and whether to believe it."""

import hashlib
import hmac
from typing import Any

import jwt
from django.conf import settings

from conversations.accounts.entra.failures import Untrusted

CLOCKS_APART = 60  # seconds that ours and Microsoft's may be
REQUIRED = ["iss", "aud", "exp", "iat", "nonce", "tid", "oid"]


def authority() -> str:
    """Return the address below which all of the tenant's are.

    They follow from it by Microsoft's documented rule, so no discovery stands between a person and the sign-in, and
    the issuer is known beforehand instead of being what the answer claims.
    """
    return f"{settings.ENTRA_AUTHORITY_HOST}/{settings.ENTRA_TENANT_ID}"


def nonce(code_verifier: str) -> str:
    """Return what ties an ID token to the browser that holds this verifier (OpenID Connect Core, 15.5.2)."""
    return hashlib.sha256(f"nonce:{code_verifier}".encode()).hexdigest()


def verify(id_token: str, keys: dict[str, Any], expected_nonce: str) -> dict[str, Any]:
    """Return what is kept of an ID token; raise `Untrusted` unless this tenant made it, for this site and this browser.

    allauth would leave the signature out where the token came over TLS, and take the algorithm from the token.
    """
    try:
        key = jwt.PyJWKSet.from_dict(keys)[jwt.get_unverified_header(id_token).get("kid")]
        claims = jwt.decode(
            id_token,
            key,
            algorithms=["RS256"],
            audience=settings.ENTRA_CLIENT_ID,
            issuer=f"{authority()}/v2.0",
            leeway=CLOCKS_APART,
            options={"require": REQUIRED},
        )
    except (jwt.PyJWTError, KeyError) as error:
        raise Untrusted(type(error).__name__) from error
    if claims["tid"] != settings.ENTRA_TENANT_ID:
        raise Untrusted("another tenant")
    if not hmac.compare_digest(str(claims["nonce"]).encode(), expected_nonce.encode()):
        raise Untrusted("another browser's nonce")
    roles = claims.get("roles")
    return {
        "tid": claims["tid"],
        "oid": str(claims["oid"]),
        "name": _line(claims.get("name")),
        "preferred_username": _line(claims.get("preferred_username")),
        "roles": [role for role in roles if isinstance(role, str)] if isinstance(roles, list) else [],
    }


def _line(value: object) -> str:
    """Return a claim as our columns take it."""
    return "".join(filter(str.isprintable, value))[:150] if isinstance(value, str) else ""
