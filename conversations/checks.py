"""System checks, which run at every start."""

from typing import Any

from django.conf import settings
from django.core.checks import Tags, Warning, register


@register(Tags.compatibility)
def check_model_configured(app_configs: Any, **kwargs) -> list[Warning]:
    if settings.MODELS:
        return []
    hint = "Set AZURE_INFERENCE_ENDPOINT and AZURE_DEEPSEEK_DEPLOYMENT, OPENAI_BASE_URL and OPENAI_MODEL, or MODELS."
    return [Warning("No model is connected, so questions cannot be answered.", hint=hint, id="conversations.W001")]


@register(Tags.security, deploy=True)
def check_public_origin(app_configs: Any, **kwargs) -> list[Warning]:
    if settings.CSRF_TRUSTED_ORIGINS:
        return []
    hint = "Set it to the site's public origin, such as https://chat.example.org. An https origin makes cookies secure."
    return [Warning("CSRF_TRUSTED_ORIGINS is not set.", hint=hint, id="conversations.W002")]


@register(Tags.security)
def check_audit_keys(app_configs: Any, **kwargs) -> list[Warning]:
    if not settings.IS_PUBLIC or settings.AUDIT_KEYS[0] not in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS):
        return []
    hint = "Set AUDIT_KEYS to a random key, then a comma and SECRET_KEY, which verifies the entries that it has signed."
    return [Warning("The audit trail is signed with SECRET_KEY.", hint=hint, id="conversations.W003")]


@register(Tags.security)
def check_email(app_configs: Any, **kwargs) -> list[Warning]:
    if not settings.IS_PUBLIC or "console" not in settings.EMAIL_BACKEND:
        return []
    hint = "Set EMAIL_URL to a mail server. Until then the log has links with which its readers can reset passwords."
    return [Warning("Emails are printed to the log instead of sent.", hint=hint, id="conversations.W004")]


@register(Tags.compatibility)
def check_email_sender(app_configs: Any, **kwargs) -> list[Warning]:
    if "console" in settings.EMAIL_BACKEND or not settings.DEFAULT_FROM_EMAIL.endswith("@localhost"):
        return []
    hint = "Add &_default_from_email=chat@example.org to EMAIL_URL. Many mail servers refuse this sender."
    return [Warning(f"Emails are sent from {settings.DEFAULT_FROM_EMAIL}.", hint=hint, id="conversations.W005")]
