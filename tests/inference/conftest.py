from collections.abc import AsyncIterator

import pytest

from conversations.inference.endpoint import Endpoint, open_endpoint
from tests.endpoint import Endpoint as Server


@pytest.fixture
async def connected(endpoint: Server, settings) -> AsyncIterator[Endpoint]:
    settings.OPENAI_BASE_URL, settings.OPENAI_MODEL, settings.OPENAI_API_KEY = endpoint.base_url, "m", "canary-key"
    opened = await open_endpoint()
    yield opened
    await opened.close()
