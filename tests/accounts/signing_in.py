"""What people do to sign in and to set up a second factor, with Django's test client."""

import re

from django.http import HttpResponse
from django.test import Client

from tests import totp

PASSWORD = "pw"  # of `tests.factories.person`


def sign_in(client: Client, login: str = "ada", **headers: str) -> HttpResponse:
    return client.post("/accounts/login/", {"login": login, "password": PASSWORD}, headers=headers)


def confirm(client: Client, password: str = PASSWORD) -> HttpResponse:
    """Enter the password again, as is needed before a change of the account."""
    return client.post("/accounts/reauthenticate/", {"password": password})


def set_up_app(client: Client) -> str:
    """Set up an authenticator app; return its key."""
    confirm(client)
    page = client.get("/accounts/2fa/totp/activate/")
    secret = re.search(r'<code class="secret">(\w+)</code>', page.text)[1]
    done = client.post("/accounts/2fa/totp/activate/", {"code": totp.code(secret)})
    assert done.headers["Location"] == "/accounts/2fa/recovery-codes/", done.text
    return secret


def recovery_codes(client: Client) -> list[str]:
    return re.findall(r"<li><code>(\d{8})</code></li>", client.get("/accounts/2fa/recovery-codes/").text)


def enter_code(client: Client, code: str) -> HttpResponse:
    return client.post("/accounts/2fa/authenticate/", {"code": code})


def is_signed_in(client: Client) -> bool:
    return client.get("/").status_code == 200
