"""The site's settings for tests, whatever this machine's environment or `.env` say.

`pyproject.toml` names this module: pytest-django reads the settings before it lets any conftest speak.
"""

import os

os.environ |= {
    "SECRET_KEY": "tests-sign-with-a-key-that-everybody-knows",
    "DEBUG": "false",
    "DATABASE_URL": "sqlite://:memory:",
    "DATABASE_AUTH": "password",
    "REDIS_URL": "",
    "REDIS_AUTH": "password",
    "SIGNUP": "open",
    "AZURE_INFERENCE_ENDPOINT": "",
    "AZURE_DEEPSEEK_DEPLOYMENT": "",
    "OPENAI_BASE_URL": "",
    "OPENAI_API_KEY": "",
    "OPENAI_MODEL": "",
    "MODELS": "",
    "ENTRA_TENANT_ID": "",
    "ENTRA_CLIENT_ID": "",
    "ENTRA_CLIENT_SECRET": "",
    "OIDC_ISSUER": "",
    "OIDC_CLIENT_ID": "",
    "OIDC_CLIENT_SECRET": "",
    "LOCAL_ACCOUNTS": "true",
}

from chatsite.settings import *  # noqa: F403
from chatsite.settings import INSTALLED_APPS

STORAGES["default"] = {"BACKEND": "django.core.files.storage.InMemoryStorage"}  # noqa: F405
FILE_UPLOAD_TEMP_DIR = None  # that of the system
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # tests make many accounts and guard none
MFA_TOTP_TOLERANCE = 1  # the code that a test computes may be of the half minute before the one in which it arrives
WHITENOISE_AUTOREFRESH = True  # else every test client lists all static files before its first request
INSTALLED_APPS = [*INSTALLED_APPS, "tests.restored"]
