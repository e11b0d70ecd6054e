"""The one credential of the process, and how it keeps its tokens."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from chatsite.identity import DATABASE, REDIS, RETRY_SECONDS, Identity, NoToken, Token
from tests.cloud import Cloud

LASTS = 200  # seconds; what lasts longer than five minutes the SDK keeps for itself, by a clock that is not ours
RESOURCE = DATABASE.removesuffix("/.default")


class Clock:
    """Time that passes as it does, and by leaps when a test says so."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def ask_until(condition: Callable[[Token], bool], identity: Identity) -> None:
    """Ask for a token until something is so: what happens meanwhile in the background tells nobody."""
    deadline = time.monotonic() + 30
    while not condition(identity.token(DATABASE)):
        assert time.monotonic() < deadline, "it does not come to that"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity(cloud: Cloud, clock: Clock) -> Iterator[Identity]:
    cloud.seconds = LASTS
    identity = Identity(clock)
    yield identity
    identity.close()


def test_a_token_is_the_managed_identitys_and_says_whose_it_is(identity: Identity, cloud: Cloud):
    token = identity.token(DATABASE)
    assert token.object_id == cloud.object_id
    assert [token.text] == cloud.tokens(RESOURCE)
    assert cloud.asked[0] | {"api-version": ""} == {
        "api-version": "",
        "resource": RESOURCE,
        "client_id": cloud.client_id,
    }


def test_each_scope_has_a_token_of_its_own(identity: Identity):
    assert identity.token(DATABASE) != identity.token(REDIS)


async def test_all_who_ask_at_once_share_one_request(identity: Identity, cloud: Cloud):
    cloud.hold()
    with ThreadPoolExecutor(4) as threads:
        there = [threads.submit(identity.token, DATABASE) for _ in range(4)]
        here = [asyncio.ensure_future(identity.atoken(DATABASE)) for _ in range(4)]
        given_up = asyncio.ensure_future(identity.atoken(DATABASE))
        await asyncio.sleep(0)  # all of them wait by now
        given_up.cancel()
        cloud.release()
        tokens = [*await asyncio.gather(*here), *(future.result(30) for future in there)]
    assert {token.text for token in tokens} == set(cloud.tokens(RESOURCE))
    assert len(cloud.asked) == 1


def test_a_token_is_renewed_before_its_time_is_over_while_nobody_waits(identity: Identity, cloud: Cloud, clock: Clock):
    first = identity.token(DATABASE)
    assert identity.token(DATABASE) is first
    cloud.hold()
    clock.ahead = LASTS / 2 + 1
    assert [identity.token(DATABASE) for _ in range(3)] == [first] * 3
    cloud.release()
    ask_until(lambda token: token is not first, identity)
    assert len(cloud.asked) == 2


def test_a_token_that_ran_out_is_not_handed_out(identity: Identity, cloud: Cloud, clock: Clock):
    first = identity.token(DATABASE)
    clock.ahead = LASTS
    assert identity.token(DATABASE).text not in ("", first.text)


@pytest.mark.parametrize("status", [400, 500])
def test_a_token_outlives_the_absence_of_who_issues_it(
    identity: Identity, cloud: Cloud, clock: Clock, caplog: pytest.LogCaptureFixture, status: int
):
    caplog.set_level(logging.INFO, "chatsite")
    first = identity.token(DATABASE)
    cloud.status = status
    clock.ahead = LASTS / 2 + 1
    ask_until(lambda token: token is first and identity.fails(DATABASE), identity)
    clock.ahead = LASTS
    for _ in range(2):
        with pytest.raises(NoToken) as failure:
            identity.token(DATABASE)
        clock.ahead += RETRY_SECONDS
    cloud.status = 200
    assert identity.token(DATABASE).text != first.text
    assert not identity.fails(DATABASE)
    said = [record.getMessage() for record in caplog.records if record.name == "chatsite.identity"]
    assert said == [str(failure.value), f"there are tokens for {DATABASE} again"]  # once, not with each try
    assert DATABASE in said[0]
    assert "canary" not in caplog.text


def test_a_token_service_that_is_not_there_has_refused_nothing(identity: Identity, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("IDENTITY_ENDPOINT", "http://127.0.0.1:9/token")
    with pytest.raises(NoToken) as failure:
        identity.token(DATABASE)
    assert not failure.value.refused
