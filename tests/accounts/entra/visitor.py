"""A visitor with a browser who uses single sign-on."""

import re
import sqlite3
from contextlib import closing
from html import unescape
from typing import Any, NamedTuple

import httpx2

from tests.site import WAIT, WITHOUT_TLS, Site, from_elsewhere

NEWEST = """
select u.id, u.username, u.first_name, u.last_name, u.email, u.is_staff, u.is_superuser, s.provider, s.uid
from conversations_user u join socialaccount_socialaccount s on s.user_id = u.id order by u.id desc limit 1
"""


class Account(NamedTuple):
    id: int
    username: str
    first_name: str
    last_name: str
    email: str
    is_staff: bool
    is_superuser: bool
    provider: str
    uid: str


class Visitor:
    """Signs in with Microsoft, or with another provider."""

    def __init__(self, site: Site, provider: str = "entra") -> None:
        self._provider = provider
        self.http = httpx2.Client(base_url=site.url, headers=from_elsewhere(), timeout=WAIT, verify=WITHOUT_TLS)
        self._site = site

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def post(self, path: str, **fields: str) -> httpx2.Response:
        self.http.get("/accounts/login/")
        headers = {"X-CSRFToken": self.http.cookies["csrftoken"], "Origin": self._site.url}
        return self.http.post(path, data=fields, headers=headers)

    def start(self, query: str = "", **fields: str) -> str:
        """Press the sign-in button; return the URL at the provider that it leads to."""
        page = self.post(f"/accounts/{self._provider}/login/{query}", **fields)
        assert page.status_code == 200, page.text
        return unescape(re.search(r'http-equiv="refresh" content="0; url=([^"]+)"', page.text)[1])

    def complete(self, url: str) -> httpx2.Response:
        """Open the URL at the provider, and follow its redirect back to the site."""
        return self.http.get(httpx2.get(url, timeout=WAIT).headers["Location"])

    def sign_in(self, **fields: str) -> httpx2.Response:
        return self.complete(self.start(**fields))

    @property
    def is_signed_in(self) -> bool:
        return self.http.get("/").status_code == 200

    @property
    def account(self) -> Account:
        """The newest account from the provider."""
        return Account(*self._site.rows(NEWEST)[0])


def write(site: Site, statement: str, *arguments: Any) -> None:
    """Change the site's database directly."""
    with closing(sqlite3.connect(site.database_url.removeprefix("sqlite:///"), timeout=20)) as database, database:
        database.execute(statement, arguments)
