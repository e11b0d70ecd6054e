from collections.abc import AsyncIterator

import pytest

from conversations.inference.endpoint import OpenModel
from tests.endpoint import Endpoint as Server
from tests.inference.asking import opened
from tests.models import model


@pytest.fixture
async def connected(endpoint: Server, settings) -> AsyncIterator[OpenModel]:
    async with opened(settings, model(endpoint.base_url)) as connected:
        yield connected


@pytest.fixture
def proxied(endpoint: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server act as the proxy for all addresses, so that it receives what is sent there."""
    monkeypatch.setenv("HTTP_PROXY", endpoint.base_url.removesuffix("/v1"))
