"""What the site warns of when it starts."""

import pytest
from django.core.checks import run_checks

DEFAULTS = {
    "AUDIT_KEYS": ["k" * 50],
    "SECRET_KEY": "k" * 50,
    "EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend",
}
OWN = {
    "AUDIT_KEYS": ["a" * 50, "k" * 50],
    "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
    "DEFAULT_FROM_EMAIL": "chat@example.org",
}


@pytest.mark.parametrize(
    ("is_public", "values", "warnings"),
    [
        (True, DEFAULTS, {"conversations.W003", "conversations.W004"}),
        (
            True,
            DEFAULTS | {"SECRET_KEY": "n" * 50, "SECRET_KEY_FALLBACKS": ["k" * 50]},
            {"conversations.W003", "conversations.W004"},
        ),
        (True, DEFAULTS | OWN, set()),
        (True, DEFAULTS | OWN | {"DEFAULT_FROM_EMAIL": "no-reply@localhost"}, {"conversations.W005"}),
        (False, DEFAULTS, set()),
    ],
)
def test_a_public_site_warns_of_defaults_that_are_for_a_laptop(
    settings, is_public: bool, values: dict, warnings: set[str]
):
    settings.IS_PUBLIC = is_public
    for name, value in values.items():
        setattr(settings, name, value)
    assert {found.id for found in run_checks() if found.id != "conversations.W001"} == warnings
