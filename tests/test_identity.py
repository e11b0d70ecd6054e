"""The credential of the process, and how it caches and refreshes tokens."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatsite.identity import DATABASE, REDIS, RETRY_SECONDS, Identity, NoToken, Token
from tests.cloud import Cloud

LIFETIME = 200  # seconds; tokens valid for more than five minutes would be cached by the SDK, with its own clock
RESOURCE = DATABASE.removesuffix("/.default")


class Clock:
    """The time, which a test can set ahead."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def request_until(condition: Callable[[Token], bool], identity: Identity) -> None:
    """Request a token until `condition` holds: refreshes in the background report nothing."""
    deadline = time.monotonic() + 30
    while not condition(identity.token(DATABASE)):
        assert time.monotonic() < deadline, "the condition was never met"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity(cloud: Cloud, clock: Clock) -> Iterator[Identity]:
    cloud.seconds = LIFETIME
    identity = Identity(clock)
    yield identity
    identity.close()


def test_a_token_is_requested_with_the_managed_identity(identity: Identity, cloud: Cloud):
    token = identity.token(DATABASE)
    assert token.object_id == cloud.object_id
    assert [token.text] == cloud.tokens(RESOURCE)
    assert cloud.asked[0] | {"api-version": ""} == {
        "api-version": "",
        "resource": RESOURCE,
        "client_id": cloud.client_id,
    }


def test_each_scope_has_its_own_token(identity: Identity):
    assert identity.token(DATABASE) != identity.token(REDIS)


async def test_concurrent_callers_share_one_request(identity: Identity, cloud: Cloud):
    cloud.hold()
    with ThreadPoolExecutor(4) as threads:
        in_threads = [threads.submit(identity.token, DATABASE) for _ in range(4)]
        on_loop = [asyncio.ensure_future(identity.atoken(DATABASE)) for _ in range(4)]
        cancelled = asyncio.ensure_future(identity.atoken(DATABASE))
        await asyncio.sleep(0)  # all of them are waiting
        cancelled.cancel()
        cloud.release()
        tokens = [*await asyncio.gather(*on_loop), *(future.result(30) for future in in_threads)]
    assert {token.text for token in tokens} == set(cloud.tokens(RESOURCE))
    assert len(cloud.asked) == 1


def test_a_token_is_refreshed_in_the_background(identity: Identity, cloud: Cloud, clock: Clock):
    first = identity.token(DATABASE)
    assert identity.token(DATABASE) is first
    cloud.hold()
    clock.ahead = LIFETIME / 2 + 1
    assert [identity.token(DATABASE) for _ in range(3)] == [first] * 3
    cloud.release()
    request_until(lambda token: token is not first, identity)
    assert len(cloud.asked) == 2


def test_an_expired_token_is_not_returned(identity: Identity, cloud: Cloud, clock: Clock):
    first = identity.token(DATABASE)
    clock.ahead = LIFETIME
    assert identity.token(DATABASE).text not in ("", first.text)


@pytest.mark.parametrize("status", [400, 500])
def test_a_valid_token_is_used_while_the_token_service_fails(
    identity: Identity, cloud: Cloud, clock: Clock, caplog: pytest.LogCaptureFixture, status: int
):
    caplog.set_level(logging.INFO, "chatsite")
    first = identity.token(DATABASE)
    cloud.status = status
    clock.ahead = LIFETIME / 2 + 1
    request_until(lambda token: token is first and identity.fails(DATABASE), identity)
    clock.ahead = LIFETIME
    for _ in range(2):
        with pytest.raises(NoToken) as failure:
            identity.token(DATABASE)
        clock.ahead += RETRY_SECONDS
    cloud.status = 200
    assert identity.token(DATABASE).text != first.text
    assert not identity.fails(DATABASE)
    logged = [record.getMessage() for record in caplog.records if record.name == "chatsite.identity"]
    assert logged == [str(failure.value), f"tokens for {DATABASE} are available again"]  # once, not for each attempt
    assert DATABASE in logged[0]
    assert "canary" not in caplog.text


def test_an_unreachable_token_service_has_not_refused_the_identity(identity: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
    with pytest.raises(NoToken) as failure:
        identity.token(DATABASE)
    assert not failure.value.refused
