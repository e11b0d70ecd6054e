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
