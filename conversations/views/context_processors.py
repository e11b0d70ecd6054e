from typing import Any

from django.conf import settings
from django.http import HttpRequest


def site(request: HttpRequest) -> dict[str, Any]:
    """Return what every template can use."""
    user = getattr(request, "user", None)
    return {
        "SITE_NAME": settings.SITE_NAME,
        "SITE_VERSION": settings.SITE_VERSION,
        "SIGNUP_OPEN": settings.SIGNUP == "open" or bool(settings.SIGNUP_DOMAIN),
        "ENTRA": bool(settings.ENTRA_TENANT_ID),
        "theme": user.theme if user and user.is_authenticated else "",
    }
