from functools import partial
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from conversations.accounts.factors import passkeys_work


def site(request: HttpRequest) -> dict[str, Any]:
    """Return what every template can use."""
    user = getattr(request, "user", None)
    return {
        "SITE_NAME": settings.SITE_NAME,
        "SITE_VERSION": settings.SITE_VERSION,
        "LOCAL_ACCOUNTS": settings.LOCAL_ACCOUNTS,
        "SHARING": settings.SHARING,
        "SIGNUP_OPEN": settings.LOCAL_ACCOUNTS and (settings.SIGNUP == "open" or bool(settings.SIGNUP_DOMAIN)),
        "SINGLE_SIGN_ON": [
            *([("entra_login", "Microsoft")] if settings.ENTRA_TENANT_ID else []),
            *([("oidc_login", settings.OIDC_NAME)] if settings.OIDC_ISSUER else []),
        ],
        "PASSKEYS": partial(passkeys_work, request),
        "theme": user.theme if user and user.is_authenticated else "",
    }
