from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from conversations.models import User
from tests.factories import api_token, person

BASE = "/api/v1/"


class Api:
    """A client of the API with a token, and with nothing else."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.http = Client(raise_request_exception=False)

    def get(self, path: str, **headers: str) -> HttpResponse:
        return self.http.get(BASE + path, headers=self._with_token(headers))

    def head(self, path: str) -> HttpResponse:
        return self.http.head(BASE + path, headers=self._with_token({}))

    def post(self, path: str, data: Any = None, content_type: str = "application/json") -> HttpResponse:
        return self.http.post(BASE + path, data or {}, content_type=content_type, headers=self._with_token({}))

    def upload(self, path: str, **fields: Any) -> HttpResponse:
        return self.http.post(BASE + path, fields, headers=self._with_token({}))

    def _with_token(self, headers: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret}"} | headers


@pytest.fixture
def ada(db: None) -> User:
    return person()


@pytest.fixture
def api(ada: User) -> Api:
    return Api(api_token(ada)[1])
